//! Whose request it is: the address of the connection, or what proxies that are named say of it.

use std::net::IpAddr;

use axum::http::HeaderMap;

const FORWARDED: &str = "x-forwarded-for";

/// Most addresses of a chain that are looked at.
const MAX_CHAIN: usize = 32;

/// The client's address. Each proxy writes behind what it was given, so the chain is read from its end as long as a proxy
/// of ours wrote it; what stands before that anybody may have made up.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let lines = headers.get_all(FORWARDED).iter().rev().filter_map(|line| line.to_str().ok());
    let mut at = peer.to_canonical();
    for written in lines.flat_map(|line| line.rsplit(',')).take(MAX_CHAIN) {
        match written.trim().parse::<IpAddr>() {
            Ok(address) if proxies.contains(&at) => at = address.to_canonical(),
            _ => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_named_proxy_is_believed() {
        let check = |peer: &str, lines: &[&str], expected: &str| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED, line.parse().unwrap());
            }
            let proxies = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
            let found = client(peer.parse().unwrap(), &headers, &proxies);
            assert_eq!(found.to_string(), expected, "{peer} {lines:?}");
        };
        check("203.0.113.9", &[], "203.0.113.9");
        check("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["6.6.6.6", "198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["198.51.100.1, nonsense"], "10.0.0.1");
        check("::ffff:10.0.0.1", &["2001:db8::1"], "2001:db8::1");
        check("10.0.0.1", &[], "10.0.0.1");
    }
}
