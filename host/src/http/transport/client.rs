//! The address by which a client is counted.
//!
//! Owns two rules: one customer's IPv6 network counts as one client, and a proxy that the operator
//! has named is believed about its clients. No caller is admitted by an address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

/// The holder of one IPv6 address holds the other 2^64 of its network.
const CUSTOMER: u128 = u128::MAX << 64;

/// The address by which a client is counted.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Addr::from(u128::from(address) & CUSTOMER).into()
        }
        address => address,
    }
}

/// The client of a request: from a known proxy's header, or from the connection.
pub fn asker(from: SocketAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let connection = network(from.ip());
    if !proxies.contains(&connection) {
        return connection;
    }
    // A proxy appends its client; the client itself may have written the rest.
    let last = headers.get_all("x-forwarded-for").into_iter().next_back();
    let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    let address = last.and_then(|address| address.trim().parse().ok());
    address.map_or(connection, network)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_customer_count_as_one() {
        let network = |address: &str| network(address.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::1"), "::1");
    }

    #[test]
    fn only_a_named_proxy_is_believed_about_its_clients() {
        let from = "192.0.2.1:4000".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-for",
            "203.0.113.7, 198.51.100.2".parse().unwrap(),
        );
        let proxy: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(asker(from, &headers, &[]), proxy);
        assert_eq!(asker(from, &headers, &[proxy]).to_string(), "198.51.100.2");
    }
}
