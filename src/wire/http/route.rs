//! Which way a connection takes to the host of a URL.

use std::net::SocketAddr;

use http::HeaderValue;
use reqwest::Url;

/// The way to the host of a check's own URL, where it is not the usual one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The URL whose host `address` and `server_name` speak of.
    pub own: Option<Url>,
    /// Connect to this address instead of resolving the host; port 0 is the port of the URL.
    pub address: Option<SocketAddr>,
    /// The name to ask for in the TLS handshake and to expect in the certificate.
    pub server_name: Option<String>,
    /// Connect over this version of IP only, whatever the host.
    pub family: Option<IpFamily>,
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpFamily {
    /// Whether the address belongs to this version.
    pub fn holds(self, address: SocketAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    /// The name of the version.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// A URL as the client library is to see it: it takes the name in the TLS handshake and the port
/// from there, and lets nobody set them otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Where the library believes to connect to.
    pub(super) url: Url,
    /// Whom we really ask, when `url` says something else.
    pub(super) host_header: Option<HeaderValue>,
}

/// How to connect for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dial {
    /// Where to connect to instead of resolving.
    pub(super) address: Option<SocketAddr>,
    /// What to resolve instead of the host that is shown.
    pub(super) host: Option<String>,
    /// Which addresses will do.
    pub(super) family: Option<IpFamily>,
}

impl Route {
    /// Whether requests have to name their host themselves, which HTTP/2 has no way for.
    pub fn needs_host_header(&self) -> bool {
        let fixed_port = |address: &SocketAddr| address.port() != 0;
        let own_port = self.own.as_ref().is_some_and(|own| own.port().is_some());
        self.server_name.is_some() || own_port && self.address.as_ref().is_some_and(fixed_port)
    }

    pub(super) fn dial(&self, url: &Url) -> (Shown, Dial) {
        let mut shown = Shown { url: url.clone(), host_header: None };
        let mut dial = Dial { address: None, host: None, family: self.family };
        let Some(own) = self.own.as_ref().filter(|own| own.host() == url.host()) else {
            return (shown, dial);
        };
        // Changing a URL fails only where there is no host.
        if let Some(mut address) = self.address {
            let same_port = own.port_or_known_default() == url.port_or_known_default();
            if !same_port {
                // A redirect to another port of the host: only the address still holds.
                address.set_port(0);
            } else if address.port() != 0 && url.port().is_some() {
                // A port of the URL would win over that of the address.
                shown.host_header = authority(url);
                let _ = shown.url.set_port(None);
            }
            dial.address = Some(address);
        }
        if let (Some(name), "https") = (&self.server_name, url.scheme()) {
            shown.host_header = authority(url);
            if dial.address.is_none() {
                dial.host = url.host_str().map(without_brackets);
            }
            let _ = shown.url.set_host(Some(name));
        }
        (shown, dial)
    }
}

/// Host and port as the header `Host` names them.
fn authority(url: &Url) -> Option<HeaderValue> {
    let host = url.host_str()?;
    let text = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::try_from(text).ok()
}

fn without_brackets(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn route(own: &str, address: Option<&str>, server_name: Option<&str>) -> Route {
        Route {
            own: Some(url(own)),
            address: address.map(|address| address.parse().unwrap()),
            server_name: server_name.map(ToOwned::to_owned),
            family: None,
        }
    }

    fn dialled(
        route: &Route,
        to: &str,
    ) -> (String, Option<String>, Option<String>, Option<String>) {
        let (shown, dial) = route.dial(&url(to));
        let header = shown.host_header.map(|header| header.to_str().unwrap().to_owned());
        (shown.url.into(), header, dial.address.map(|address| address.to_string()), dial.host)
    }

    #[test]
    fn the_usual_way_is_the_url_itself() {
        let route = Route::default();
        assert_eq!(
            dialled(&route, "http://a.test/x"),
            ("http://a.test/x".into(), None, None, None)
        );
        assert!(!route.needs_host_header());
    }

    #[test]
    fn a_fixed_address_keeps_the_name() {
        let route = route("https://a.test/x", Some("10.0.0.1:0"), None);
        let expected = ("https://a.test/x".into(), None, Some("10.0.0.1:0".into()), None);
        assert_eq!(dialled(&route, "https://a.test/x"), expected);
        assert!(!route.needs_host_header());
    }

    #[test]
    fn a_fixed_port_wins_over_that_of_the_url() {
        let route = route("http://a.test:81/x", Some("10.0.0.1:8080"), None);
        let header = Some("a.test:81".into());
        let expected = ("http://a.test/x".into(), header, Some("10.0.0.1:8080".into()), None);
        assert_eq!(dialled(&route, "http://a.test:81/x"), expected);
        assert!(route.needs_host_header());
        // A redirect to TLS on the same host keeps the address but not the port.
        let expected = ("https://a.test/x".into(), None, Some("10.0.0.1:0".into()), None);
        assert_eq!(dialled(&route, "https://a.test/x"), expected);
    }

    #[test]
    fn a_server_name_takes_the_place_of_the_host_but_not_of_the_target() {
        let route = route("https://[::1]:8443/x", None, Some("api.test"));
        let expected =
            ("https://api.test:8443/x".into(), Some("[::1]:8443".into()), None, Some("::1".into()));
        assert_eq!(dialled(&route, "https://[::1]:8443/x"), expected);
        assert!(route.needs_host_header());
        let elsewhere = ("https://b.test/".into(), None, None, None);
        assert_eq!(dialled(&route, "https://b.test/"), elsewhere);
    }
}
