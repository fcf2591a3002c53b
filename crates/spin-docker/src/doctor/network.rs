//! Our network: whether its containers are kept from each other, and whether its subnet clashes with a route of the host's.

use super::Check;
use crate::config::Settings;
use engine::Limit;
use ipnet::Ipv4Net;
use procfs_core::FromRead;
use procfs_core::net::{RouteEntries, RouteEntry};

pub(super) fn check(settings: &Settings, ours: &[Ipv4Net], limits: &[Limit]) -> Vec<Check> {
    vec![walls(limits), subnet(settings.subnet, ours, &routes())]
}

/// By `br_netfilter`.
fn walls(limits: &[Limit]) -> Check {
    match limits.iter().find(|limit| matches!(limit, Limit::Unfiltered)) {
        None => {
            Check::right("walls", "containers cannot reach each other: the kernel filters bridged traffic")
        }
        Some(limit) => Check::degraded("walls", limit.finding(), limit.advice()),
    }
}

/// A network that is there already has made its way among the routes.
fn subnet(wanted: Option<Ipv4Net>, ours: &[Ipv4Net], routes: &[RouteEntry]) -> Check {
    let Some(wanted) = wanted.filter(|wanted| !ours.contains(wanted)) else {
        return Check::right("network", had(ours));
    };
    let clash = routes.iter().find(|route| net(route).is_some_and(|net| overlap(&net, &wanted)));
    match clash {
        None => Check::right("network", format!("{wanted} is free for it")),
        Some(route) => Check::wrong(
            "network",
            format!("`subnet` is {wanted}, and this host reaches {} by {}", route.destination, route.iface),
            "set `subnet` to one that no route overlaps (`ip route` lists them), or leave it to the engine",
        ),
    }
}

fn had(ours: &[Ipv4Net]) -> String {
    if ours.is_empty() {
        return "none yet: the first start makes it, with a subnet of the engine's choice".to_owned();
    }
    let list: Vec<_> = ours.iter().map(ToString::to_string).collect();
    format!("those of spin-docker's instances on this engine: {}", list.join(", "))
}

/// None for the default route, which everything overlaps.
fn net(route: &RouteEntry) -> Option<Ipv4Net> {
    let net = Ipv4Net::with_netmask(route.destination, route.mask).ok()?;
    (net.prefix_len() > 0).then_some(net)
}

fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(other) || other.contains(one)
}

fn routes() -> Vec<RouteEntry> {
    let read = std::fs::read("/proc/net/route").ok();
    read.and_then(|table| RouteEntries::from_read(table.as_slice()).ok())
        .map_or_else(Vec::new, |RouteEntries(all)| all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    /// The default route, and 172.17.0.0/16 by docker0.
    const TABLE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";

    #[test]
    fn a_subnet_that_a_route_overlaps_is_wrong_unless_it_is_our_own() {
        let RouteEntries(routes) = RouteEntries::from_read(TABLE.as_bytes()).unwrap();
        let state = |wanted: Option<&str>, ours: &[&str]| {
            let ours: Vec<Ipv4Net> = ours.iter().map(|net| net.parse().unwrap()).collect();
            subnet(wanted.map(|net| net.parse().unwrap()), &ours, &routes).state
        };
        assert_eq!(state(None, &[]), State::Right);
        assert_eq!(state(Some("10.9.0.0/16"), &[]), State::Right);
        assert_eq!(state(Some("172.17.4.0/24"), &[]), State::Wrong);
        assert_eq!(state(Some("172.16.0.0/12"), &[]), State::Wrong);
        assert_eq!(state(Some("172.17.4.0/24"), &["172.17.4.0/24"]), State::Right);
    }

    #[test]
    fn bridged_traffic_that_is_not_filtered_is_degraded() {
        assert_eq!(walls(&[]).state, State::Right);
        assert!(walls(&[Limit::Unfiltered]).advice.unwrap().contains("modprobe br_netfilter"));
    }
}
