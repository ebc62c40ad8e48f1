//! Where a redirect leads, and what may be sent there.

use std::borrow::Cow;

use http::{HeaderValue, Method, StatusCode};

use crate::wire::http::Url;

/// One request on the way to the answer that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hop<'a> {
    /// The method, which a redirect may turn into GET.
    pub(super) method: Method,
    /// Where to.
    pub(super) url: Cow<'a, Url>,
    /// Whether the configured body goes along.
    pub(super) with_body: bool,
    /// Whether it goes to scheme, host and port of the configured URL; nothing that is configured
    /// is sent anywhere else.
    pub(super) own_origin: bool,
}

impl<'a> Hop<'a> {
    /// The configured request.
    pub(super) fn first(method: Method, url: &'a Url, with_body: bool) -> Self {
        Self { method, url: Cow::Borrowed(url), with_body, own_origin: true }
    }

    /// The request that this answer asks for, unless it asks for none or for one that we do not
    /// send.
    pub(super) fn next(
        &self,
        own: &Url,
        status: StatusCode,
        location: Option<&HeaderValue>,
    ) -> Option<Self> {
        let changes_method = match status.as_u16() {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::HEAD,
            307 | 308 => false,
            _ => return None,
        };
        let location = std::str::from_utf8(location?.as_bytes()).ok()?;
        let mut url = self.url.join(location).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        // Only URLs without a host refuse.
        let _ = (url.set_username(""), url.set_password(None));
        url.set_fragment(None);
        let own_origin = url.origin() == own.origin();
        let with_body = self.with_body && !changes_method;
        if with_body && !own_origin {
            return None;
        }
        let method = if changes_method { Method::GET } else { self.method.clone() };
        Some(Self { method, url: Cow::Owned(url), with_body, own_origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(
        method: Method,
        body: bool,
        status: u16,
        location: &str,
    ) -> Option<(Method, String, bool, bool)> {
        let own = Url::parse("https://a.test/x/y?z").unwrap();
        let first = Hop::first(method, &own, body);
        let location = HeaderValue::from_str(location).unwrap();
        let hop = first.next(&own, StatusCode::from_u16(status).unwrap(), Some(&location))?;
        Some((hop.method, hop.url.as_str().to_owned(), hop.with_body, hop.own_origin))
    }

    #[test]
    fn a_location_may_be_relative_and_loses_what_is_not_sent() {
        for (location, url, own_origin) in [
            ("/login", "https://a.test/login", true),
            ("w", "https://a.test/x/w", true),
            ("//b.test", "https://b.test/", false),
            ("http://a.test/", "http://a.test/", false),
            ("https://a.test:8443/", "https://a.test:8443/", false),
            ("https://me:secret@a.test/#top", "https://a.test/", true),
        ] {
            let expected = Some((Method::GET, url.to_owned(), false, own_origin));
            assert_eq!(next(Method::GET, false, 302, location), expected, "{location}");
        }
    }

    #[test]
    fn method_and_body_survive_as_the_status_says() {
        let to = |method, body| Some((method, "https://a.test/w".to_owned(), body, true));
        assert_eq!(next(Method::POST, true, 302, "/w"), to(Method::GET, false));
        assert_eq!(next(Method::PUT, true, 302, "/w"), to(Method::PUT, true));
        assert_eq!(next(Method::PUT, true, 303, "/w"), to(Method::GET, false));
        assert_eq!(next(Method::HEAD, false, 303, "/w"), to(Method::HEAD, false));
        assert_eq!(next(Method::POST, true, 307, "/w"), to(Method::POST, true));
    }

    #[test]
    fn what_would_leak_or_leads_nowhere_is_not_followed() {
        assert_eq!(next(Method::POST, true, 308, "https://b.test/"), None);
        assert_eq!(next(Method::GET, false, 302, "ftp://a.test/"), None);
        assert_eq!(next(Method::GET, false, 302, "http://["), None);
        assert_eq!(next(Method::GET, false, 304, "/w"), None);
    }
}
