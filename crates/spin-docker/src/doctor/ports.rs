//! The range of endpoint ports: how many are ours, whose listeners are in it, and whether outgoing connections of this host
//! take ports of it.

use super::daemon::Daemon;
use super::{Check, kernel};
use crate::config::Settings;
use procfs_core::net::{TcpNetEntries, TcpState};
use procfs_core::{ExplicitSystemInfo, FromReadSI};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// So many of others' are named.
const NAMED: usize = 5;

pub(super) fn check(settings: &Settings, daemon: &Daemon) -> Vec<Check> {
    let range = &settings.endpoint_ports;
    let ours: BTreeSet<u16> = daemon.known.ports.iter().copied().collect();
    vec![taken(range, &ours, &listening()), reserved(range, kernel::read(LOCAL), kernel::read(RESERVED))]
}

const LOCAL: &str = "net.ipv4.ip_local_port_range";
const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";

fn taken(range: &RangeInclusive<u16>, ours: &BTreeSet<u16>, listening: &BTreeSet<u16>) -> Check {
    let others: Vec<u16> = listening.difference(ours).copied().filter(|port| range.contains(port)).collect();
    let free = range.clone().filter(|port| !ours.contains(port) && !others.contains(port)).count();
    let outside = ours.iter().filter(|port| !range.contains(port)).count();
    let (first, last) = (range.start(), range.end());
    let mut finding = format!("{first}-{last}: {free} free, {} of containers", ours.len() - outside);
    if !others.is_empty() {
        let named: Vec<_> = others.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if others.len() > NAMED { ", …" } else { "" };
        finding += &format!(
            ", {} of other programs, which are passed over ({}{more})",
            others.len(),
            named.join(", ")
        );
    }
    if free > 0 {
        return Check::right("ports", finding);
    }
    Check::wrong("ports", finding, "delete containers, or widen `endpoint_ports`")
}

/// An outgoing connection may be given any port that is local and not reserved.
fn reserved(range: &RangeInclusive<u16>, local: Option<String>, reserved: Option<String>) -> Check {
    const NAME: &str = "ports_reserved";
    let Some(local) = local.as_deref().and_then(spans_of_pair) else {
        return Check::right(NAME, "the kernel does not say which ports outgoing connections take");
    };
    let reserved = reserved.map(|list| spans(&list)).unwrap_or_default();
    let open = range
        .clone()
        .filter(|port| local.contains(port) && !reserved.iter().any(|span| span.contains(port)))
        .count();
    if open == 0 {
        return Check::right(NAME, "outgoing connections of this host take none of them");
    }
    let (first, last) = (range.start(), range.end());
    let mut list: Vec<String> =
        reserved.iter().map(|span| format!("{}-{}", span.start(), span.end())).collect();
    list.push(format!("{first}-{last}"));
    Check::degraded(
        NAME,
        format!(
            "outgoing connections of this host may take {open} of them ({LOCAL} is {}-{})",
            local.start(),
            local.end()
        ),
        format!("sysctl -w {RESERVED}={}", list.join(",")),
    )
}

/// As `ip_local_port_range` is written.
fn spans_of_pair(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
    Some(numbers.next()??..=numbers.next()??)
}

/// As `ip_local_reserved_ports` is written.
fn spans(text: &str) -> Vec<RangeInclusive<u16>> {
    let span = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.trim().split(',').filter_map(span).collect()
}

/// The ports that somebody listens on, at whatever address.
fn listening() -> BTreeSet<u16> {
    // Of it, only the order of bytes matters to addresses.
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 100,
        page_size: 4096,
        is_little_endian: cfg!(target_endian = "little"),
    };
    let entries = |table: &str| {
        let read = std::fs::read(table).ok()?;
        Some(TcpNetEntries::from_read(read.as_slice(), &system).ok()?.0)
    };
    let all = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(entries).flatten();
    all.filter(|entry| entry.state == TcpState::Listen).map(|entry| entry.local_address.port()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn the_range_is_counted_and_one_that_is_used_up_is_wrong() {
        let check = |ours: &[u16], listening: &[u16]| {
            taken(&(10..=13), &ours.iter().copied().collect(), &listening.iter().copied().collect())
        };
        let some = check(&[10, 99], &[10, 12, 80]);
        assert_eq!(
            some.finding,
            "10-13: 2 free, 1 of containers, 1 of other programs, which are passed over (12)"
        );
        assert_eq!(some.state, State::Right);
        assert_eq!(check(&[10, 11], &[12, 13]).state, State::Wrong);
    }

    #[test]
    fn what_outgoing_connections_may_take_is_told() {
        let check =
            |local: &str, kept: &str| reserved(&(50_000..=50_009), Some(local.into()), Some(kept.into()));
        assert_eq!(check("32768\t40000\n", "\n").state, State::Right);
        assert_eq!(check("32768\t60999\n", "80,50000-50009\n").state, State::Right);
        let half = check("32768\t50004\n", "80,50000-50001\n");
        assert!(half.finding.starts_with("outgoing connections of this host may take 3 of them"), "{half:?}");
        assert_eq!(
            half.advice.unwrap(),
            "sysctl -w net.ipv4.ip_local_reserved_ports=80-80,50000-50001,50000-50009"
        );
    }

    #[test]
    fn a_listener_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(listening().contains(&listener.local_addr().unwrap().port()));
    }
}
