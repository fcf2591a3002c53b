//! The bench's API on a port, for what only a real connection shows.

use super::Bench;
use control::Neighbours;
use server::{Hosts, Limits, Listening, Names};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

impl Bench {
    /// Where it listens, for hosts of any name, until the program would end.
    pub async fn listen(&self, limits: Limits, names: Option<Names>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (routes, hosts, refused) = (self.routes.clone(), Hosts::any(), Neighbours::default());
        let listening = Listening { listener, routes, limits, hosts, names, refused, threads: Vec::new() };
        tokio::spawn(listening.serve(self.app.ending.clone(), Duration::from_secs(1)));
        address
    }
}
