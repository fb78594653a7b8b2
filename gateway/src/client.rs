//! Where a request comes from. That is its connection's other end, or, behind a proxy that the
//! operator trusts, what this proxy says; anybody else may write what they like and is not believed.

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// The name of the header that tells auth the address.
pub(crate) const CLIENT_ADDRESS: &str = "x-client-address";

/// The address of whoever sent the request; every request carries it as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client(pub(crate) IpAddr);

impl Client {
    /// What auth is told. Who has one IPv6 address has its whole /64, so only that much counts.
    pub(crate) fn header(self) -> Option<HeaderValue> {
        let address = match self.0 {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        };
        HeaderValue::try_from(address.to_string()).ok()
    }
}

/// Proxies that are believed when they say whom they speak for: addresses or networks, with commas
/// between them.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// The text is not a list of addresses and networks.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an address, as 10.0.0.7, nor a network, as 10.0.0.0/16")]
pub struct BadProxy(String);

impl FromStr for TrustedProxies {
    type Err = BadProxy;

    fn from_str(list: &str) -> Result<Self, BadProxy> {
        let proxies = list.split(',').map(str::trim).map(|text| {
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| BadProxy(text.to_owned()))
        });
        proxies.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Who sent a request that came over a connection from `peer`. Each proxy appends whom it heard,
    /// so the list is read from its end, for as long as the speaker is trusted.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let mut client = peer.to_canonical();
        let values = headers.get_all("x-forwarded-for").iter();
        let mut hops = values.flat_map(|value| value.to_str().unwrap_or_default().split(',')).rev();
        while self.0.iter().any(|network| network.contains(&client))
            && let Some(before) = hops.next().and_then(address)
        {
            client = before;
        }
        Client(client)
    }
}

/// An address as proxies write it: some add the port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|from| from.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let trusted: TrustedProxies =
            if trusted.is_empty() { TrustedProxies::default() } else { trusted.parse().unwrap() };
        trusted.client(peer.parse().unwrap(), &headers).0.to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("", "192.0.2.1", &["1.1.1.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["1.1.1.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "10.1.2.3", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(client("10.0.0.7", "::ffff:10.0.0.7", &["1.1.1.1"]), "1.1.1.1");
    }

    #[test]
    fn what_a_client_wrote_into_the_list_itself_does_not_count() {
        let trusted = "10.0.0.0/8, fd00::/8";
        assert_eq!(client(trusted, "10.0.0.1", &["6.6.6.6, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(client(trusted, "10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"]), "1.1.1.1");
        assert_eq!(client(trusted, "fd00::1", &["6.6.6.6", "[2001:db8::1]:80"]), "2001:db8::1");
        // Beyond what cannot be read nobody can be believed.
        assert_eq!(client(trusted, "10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client(trusted, "10.0.0.1", &["10.0.0.3"]), "10.0.0.3");
        assert_eq!(client(trusted, "10.0.0.1", &[""]), "10.0.0.1");
    }

    #[test]
    fn auth_hears_the_network_of_an_ipv6_address() {
        let header = |address: &str| Client(address.parse().unwrap()).header().unwrap();
        assert_eq!(header("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(header("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn a_wrong_list_is_refused() {
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0.1,,10.0.0.2"] {
            assert!(bad.parse::<TrustedProxies>().is_err(), "{bad}");
        }
    }
}
