//! The header of the PROXY protocol, version 2: it tells a container who its client is, since all connections to it come from us.

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, on behalf of somebody.
const VERSION_AND_COMMAND: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header of a connection that is on nobody's behalf (LOCAL): whoever accepts it goes by the connection's own addresses.
pub(crate) const OUR_OWN: &[u8; 16] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// That `client` connected to `endpoint`.
pub(crate) fn proxy_header(client: SocketAddr, endpoint: SocketAddr) -> Vec<u8> {
    let (family, addresses) = match (client.ip().to_canonical(), endpoint.ip().to_canonical()) {
        (IpAddr::V4(client), IpAddr::V4(endpoint)) => {
            (TCP_OVER_IPV4, [client.octets(), endpoint.octets()].concat())
        }
        (client, endpoint) => (TCP_OVER_IPV6, [in_ipv6(client), in_ipv6(endpoint)].concat()),
    };
    let ports = [client.port().to_be_bytes(), endpoint.port().to_be_bytes()].concat();
    let length = u16::try_from(addresses.len() + ports.len()).expect("36 at most");
    let head = [VERSION_AND_COMMAND, family];
    [&SIGNATURE[..], &head, &length.to_be_bytes(), &addresses, &ports].concat()
}

fn in_ipv6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(client: &str, endpoint: &str) -> Vec<u8> {
        proxy_header(client.parse().unwrap(), endpoint.parse().unwrap())
    }

    #[test]
    fn it_is_as_the_specification_says() {
        let ipv4 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x0a\x00\x00\x02\x13\x88\xc0\x01";
        assert_eq!(header("127.0.0.1:5000", "10.0.0.2:49153"), ipv4);
        assert_eq!(header("[::ffff:127.0.0.1]:5000", "10.0.0.2:49153"), ipv4);

        let ipv6 = header("[::1]:5000", "[2001:db8::2]:49153");
        assert_eq!(ipv6[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24");
        assert_eq!(ipv6[16..32], std::net::Ipv6Addr::LOCALHOST.octets());
        assert_eq!(ipv6[48..], *b"\x13\x88\xc0\x01");
    }
}
