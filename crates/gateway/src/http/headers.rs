//! What of a message's headers concerns the next hop alone (RFC 9110 §7.6.1), and what we say of where a request came from.

use hyper::HeaderMap;
use hyper::header::{self, Entry, HeaderName, HeaderValue};
use ipnet::IpNet;
use std::net::IpAddr;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Proxies of the operator's, whose word on who asks is taken.
#[derive(Clone, Debug, Default)]
pub struct Trusted(pub Vec<IpNet>);

impl Trusted {
    fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Who asks: the peer; behind proxies that are trusted, the last of those they name that is none of them.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.include(peer) {
            return peer;
        }
        let named = headers.get_all(FOR).iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut client = peer;
        for name in named.into_iter().rev() {
            let Ok(address) = name.parse::<IpAddr>() else { break };
            client = address;
            if !self.include(address) {
                break;
            }
        }
        client
    }
}

/// The protocol that a message asks to go over to. HTTP/2 without TLS is never asked for on: inside of it, requests would pass
/// that nobody looked at.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = || options(headers).any(|option| option.eq_ignore_ascii_case("upgrade"));
    let to = headers.get(header::UPGRADE).filter(|_| asks())?;
    let is_http2 = |to: &str| to.split(',').any(|one| one.trim().to_ascii_lowercase().starts_with("h2"));
    to.to_str().is_ok_and(|to| !is_http2(to)).then(|| to.clone())
}

/// Whether an answer is one that goes on for as long as somebody listens.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// What `Connection` names.
fn options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let said = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(',')).map(str::trim)
}

/// Takes away what was meant for us alone. How long a body is says whoever sends it on.
pub(super) fn strip_hops(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let others = options(headers).filter(|option| !goes_on(option) && !is_of_one_hop(option));
        let named: Vec<HeaderName> = others.filter_map(|option| option.parse().ok()).collect();
        named.iter().chain([&header::CONNECTION]).for_each(|name| drop(headers.remove(name)));
    }
    remove_those(headers, is_of_one_hop);
    if let Some(te) = headers.remove(header::TE)
        && te.to_str().is_ok_and(|te| te.split(',').any(|one| one.trim().eq_ignore_ascii_case("trailers")))
    {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Whether a header goes no further, in any message.
fn is_of_one_hop(name: &str) -> bool {
    let is = |one: &str| name.eq_ignore_ascii_case(one);
    match name.len() {
        7 => is("upgrade"),
        10 => is("keep-alive"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        _ => false,
    }
}

/// Whether a header goes on, whatever `Connection` says. `close` is no header.
fn goes_on(option: &str) -> bool {
    ["close", "host", "content-length", "te"].iter().any(|kept| option.eq_ignore_ascii_case(kept))
}

/// Nearly always there are none.
fn remove_those(headers: &mut HeaderMap, are: impl Fn(&str) -> bool) {
    let those: Vec<HeaderName> = headers.keys().filter(|name| are(name.as_str())).cloned().collect();
    those.iter().for_each(|name| drop(headers.remove(name)));
}

/// Asks for, or agrees to, another protocol.
pub(super) fn ask_upgrade(headers: &mut HeaderMap, to: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, to);
    headers.remove(SETTINGS);
}

/// Says where a request comes from. What anybody but a trusted proxy said of that is dropped.
pub(super) fn forwarded(headers: &mut HeaderMap, peer: IpAddr, address: HeaderValue, trusted: &Trusted) {
    let is_trusted = trusted.include(peer);
    remove_those(headers, |name| says_origin(name, is_trusted));
    match headers.entry(FOR) {
        Entry::Occupied(mut said) => said.append(address),
        Entry::Vacant(none) => {
            none.insert(address);
        }
    }
    headers.entry(PROTO).or_insert(HeaderValue::from_static("http"));
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.entry(HOST).or_insert(host);
    }
}

/// Whether a header, as an application may read its name, says where a request comes from. Many take `_` for `-`: in that
/// spelling nobody may say so.
fn says_origin(name: &str, is_trusted: bool) -> bool {
    let is = |name: &str| {
        name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip" | "x-client-ip")
    };
    let is_spelt_so = !name.as_bytes().contains(&b'_');
    if is_spelt_so { !is_trusted && is(name) } else { is(&name.replace('_', "-")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn what_concerns_one_hop_goes_no_further() {
        let mut headers = map(&[
            ("host", "a"),
            ("connection", "close, X-Secret"),
            ("connection", "host, x-other"),
            ("x-secret", "1"),
            ("x-other", "2"),
            ("x-kept", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "gzip, trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
        ]);
        strip_hops(&mut headers);
        let mut left = lines(&headers);
        left.sort_unstable();
        assert_eq!(left, [("host", "a"), ("te", "trailers"), ("trailer", "x-sum"), ("x-kept", "3")]);
    }

    #[test]
    fn an_upgrade_is_one_that_both_headers_ask_for_and_never_to_http2() {
        let to = |lines: &[_]| upgrade(&map(lines)).map(|to| to.to_str().unwrap().to_owned());
        assert_eq!(
            to(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]).as_deref(),
            Some("websocket")
        );
        assert_eq!(to(&[("upgrade", "websocket")]), None);
        assert_eq!(to(&[("connection", "upgrade")]), None);
        assert_eq!(to(&[("connection", "upgrade, http2-settings"), ("upgrade", "H2C")]), None);
        assert_eq!(to(&[("connection", "upgrade"), ("upgrade", "websocket, h2c")]), None);
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let said = [
            ("host", "a.localhost"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "real.example"),
            ("x-forwarded-port", "443"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x-real-ip", "9.9.9.9"),
            ("forwarded", "for=9.9.9.9"),
        ];
        let peer = "10.0.0.2";
        let forwarded = |headers: &mut HeaderMap, trusted: &Trusted| {
            forwarded(headers, peer.parse().unwrap(), HeaderValue::from_static(peer), trusted);
        };
        let mut headers = map(&said);
        forwarded(&mut headers, &Trusted::default());
        let mut ours = vec![
            ("host", "a.localhost"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-host", "a.localhost"),
            ("x-forwarded-proto", "http"),
        ];
        let mut told = lines(&headers);
        told.sort_unstable();
        assert_eq!(told, ours);

        let mut headers = map(&said);
        forwarded(&mut headers, &Trusted(vec!["10.0.0.0/8".parse().unwrap()]));
        ours = said.into_iter().filter(|(name, _)| *name != "x_forwarded_for").collect();
        ours.push(("x-forwarded-for", "10.0.0.2"));
        let mut told = lines(&headers);
        told.sort_unstable();
        ours.sort_unstable();
        assert_eq!(told, ours);
    }

    #[test]
    fn who_asks_behind_trusted_proxies_is_the_last_that_is_none_of_them() {
        let trusted = Trusted(vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let client = |peer: &str, said: &'static str| {
            let headers = if said.is_empty() { map(&[]) } else { map(&[("x-forwarded-for", said)]) };
            trusted.client(peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(client("9.9.9.9", "1.1.1.1"), "9.9.9.9");
        assert_eq!(client("10.0.0.1", "1.1.1.1, 2.2.2.2"), "2.2.2.2");
        assert_eq!(client("10.0.0.1", "1.1.1.1,2.2.2.2, 10.0.0.7"), "2.2.2.2");
        assert_eq!(client("::1", "nonsense, 10.0.0.7"), "10.0.0.7");
        assert_eq!(client("::ffff:10.0.0.1", ""), "::ffff:10.0.0.1");
    }
}
