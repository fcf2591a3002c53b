//! The proxy by name against raw sockets on loopback: what the container sees, what the client gets, and what neither may meet.

#![allow(unreachable_pub, reason = "shared by the test files")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod behind;
mod bench;
mod bodies;
mod faults;
mod hops;
#[path = "../bench/ports.rs"]
mod ports;
mod upgrades;
mod waiting;
