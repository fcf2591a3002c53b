//! Whom a request says that it is for. A listener on loopback knows the names that it can be reached by: any other means
//! that a page of somebody else's was made to resolve to us (DNS rebinding), and a browser would let it read the answers.

use crate::error::Failure;
use api::Kind;
use axum::extract::Request;
use axum::http::{Version, header};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The hosts that a listener answers for. Clones share it.
#[derive(Clone, Debug)]
pub struct Hosts(Option<Arc<Known>>);

#[derive(Debug)]
struct Known {
    addresses: Vec<IpAddr>,
    name: String,
}

impl Hosts {
    /// Any: beyond loopback, nobody knows under what names.
    pub fn any() -> Self {
        Self(None)
    }

    /// Of a listener at `address`: on loopback `localhost`, what ends in it, the loopback addresses, the listener's own,
    /// and `public`; else any. With any port: it may be reached through a tunnel.
    pub fn of(address: SocketAddr, public: &str) -> Self {
        let own = address.ip().to_canonical();
        let addresses = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), own];
        let known = Known { addresses, name: public.to_ascii_lowercase() };
        Self(own.is_loopback().then(|| Arc::new(known)))
    }

    /// Whether an authority, such as `localhost:8080`, is one of them.
    fn include(&self, authority: &str) -> bool {
        let Some(known) = &self.0 else { return true };
        let Some(name) = bare_name(authority) else { return false };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return known.addresses.contains(&address.to_canonical()) || bare == known.name;
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.ends_with(".localhost") || name == known.name
    }
}

/// Without the port.
pub(crate) fn bare_name(authority: &str) -> Option<&str> {
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (name, port) = authority.split_at(end);
    let is_port = port.is_empty() || port.strip_prefix(':')?.chars().all(|digit| digit.is_ascii_digit());
    (is_port && !name.is_empty()).then_some(name)
}

/// Everything in a request that says for whom it is.
pub(crate) fn authorities<B>(request: &hyper::Request<B>) -> impl Iterator<Item = &str> {
    let hosts = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    hosts.chain(request.uri().authority().map(|authority| authority.as_str()))
}

/// Whoever connected said for whom: once in HTTP/1.1, where it must be there.
pub(crate) fn check(request: &Request) -> Result<(), Failure> {
    let Some(hosts) = request.extensions().get::<Hosts>() else { return Ok(()) };
    let mut said = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    let (first, second) = (said.next(), said.next());
    if second.is_some() || (first.is_none() && request.version() == Version::HTTP_11) {
        return Err(Failure::new(Kind::HostUnclear, "A request of HTTP/1.1 has one Host header"));
    }
    let in_path = request.uri().authority().map(|authority| authority.as_str());
    match first.into_iter().chain(in_path).find(|authority| !hosts.include(authority)) {
        None => Ok(()),
        Some(foreign) => Err(Failure::new(Kind::ForeignHost, misdirected(foreign))),
    }
}

fn misdirected(host: &str) -> String {
    let shown: String = host.chars().take(100).collect();
    format!(
        "This listener is on loopback and does not go by {shown:?}: use localhost or its address, or set public_host to \
         the name that it has"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(listener: &str, authority: &str) -> bool {
        Hosts::of(listener.parse().unwrap(), "demo.example.org").include(authority)
    }

    #[test]
    fn on_loopback_it_goes_by_its_own_names_at_any_port() {
        let own = [
            "localhost",
            "localhost:8080",
            "LOCALHOST:1",
            "localhost.:80",
            "a.b.localhost",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8080",
            "127.0.0.5:8080",
            "demo.example.org",
            "Demo.example.org:443",
        ];
        for authority in own {
            assert!(include("127.0.0.5:8080", authority), "{authority}");
        }
        let foreign = [
            "",
            ":80",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.2",
            "127.0.0.1.evil.example",
            "[::2]",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "::1",
            "localhost:x",
            "user@localhost",
            "0.0.0.0",
        ];
        for authority in foreign {
            assert!(!include("127.0.0.5:8080", authority), "{authority}");
        }
    }

    #[test]
    fn beyond_loopback_it_goes_by_any() {
        for listener in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"] {
            assert!(include(listener, "whatever.example"), "{listener}");
        }
        assert!(Hosts::any().include("whatever.example"));
    }

    #[test]
    fn an_address_may_be_the_public_host() {
        let hosts = Hosts::of("127.0.0.1:8080".parse().unwrap(), "192.0.2.7");
        assert!(hosts.include("192.0.2.7:8080") && !hosts.include("192.0.2.8:8080"));
    }
}
