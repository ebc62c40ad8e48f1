//! URLs and addresses of the configuration.

use std::net::{IpAddr, SocketAddr};

use crate::{
    check::Target,
    wire::http::{IpFamily, Url},
};

/// The URL to ask. Messages do not quote it, since it may hold a secret.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let mut url = parse(text, "https://example.com/health")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("expected http:// or https://, found {}:", url.scheme()));
    }
    if has_credentials(&url) {
        return Err("expected no user and password, which belong into `basic_auth`".to_owned());
    }
    url.set_fragment(None);
    Ok(url)
}

/// The URL of a proxy.
pub(super) fn proxy(text: &str) -> Result<Url, String> {
    let url = parse(text, "http://proxy.example.com:3128")?;
    if url.scheme() != "http" {
        return Err(format!("expected http://, found {}:", url.scheme()));
    }
    if has_credentials(&url) {
        return Err("expected no user and password, which belong into `proxy_auth`".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("expected nothing behind host and port".to_owned());
    }
    Ok(url)
}

fn parse(text: &str, example: &str) -> Result<Url, String> {
    let expected = || format!("expected a URL such as {example}");
    let url = Url::parse(text).map_err(|_| expected())?;
    if url.host().is_none() { Err(expected()) } else { Ok(url) }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The address to connect to; port 0 when there is none.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().map(|address: IpAddr| SocketAddr::new(address, 0));
    address.or_else(|_| text.parse()).map_err(|_| {
        format!("expected an address such as 10.0.0.1, 10.0.0.1:8443 or [::1]:8443, found `{text}`")
    })
}

/// The address that stands in a URL in place of a name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Whether an address can be reached over this version of IP.
pub(super) fn fits(address: IpAddr, family: IpFamily) -> bool {
    family.holds(SocketAddr::new(address, 0))
}

/// What people and limits are told of a URL.
pub(super) fn target(url: &Url) -> Target {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    let mut display = url.clone();
    display.set_query(None);
    Target { host: format!("{host}:{port}"), display: display.into() }
}
