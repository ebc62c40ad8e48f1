//! Request headers of the configuration.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::problems::Problems;
use crate::secret::Secret;

/// The headers to send.
pub(super) fn parse(problems: &mut Problems<'_>, given: &BTreeMap<String, Secret>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        match header(name, value) {
            Ok((name, _)) if headers.contains_key(&name) => {
                problems.add(&format!("headers.{name}"), "stands twice; case makes no difference");
            }
            Ok((name, value)) => {
                headers.insert(name, value);
            }
            Err(message) => problems.add(&format!("headers.{name}"), message),
        }
    }
    headers
}

fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), String> {
    let name = self::name(name)?;
    if let Some(message) = not_yours(name.as_str()) {
        return Err(message.to_owned());
    }
    let mut value = HeaderValue::try_from(value.expose())
        .map_err(|_| "expected a value without line breaks and control characters".to_owned())?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The name of a header, of a request or an answer.
pub(super) fn name(text: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(text)
        .map_err(|_| "expected the name of a header such as content-type".to_owned())
}

/// Why a header cannot be configured.
fn not_yours(name: &str) -> Option<&'static str> {
    match name {
        "host" => Some("expected the host in `url`; `resolve_to` says where to find it"),
        "proxy-authorization" => Some("expected `proxy_auth` instead"),
        "connection" | "content-length" | "expect" | "keep-alive" | "proxy-connection" | "te"
        | "trailer" | "transfer-encoding" | "upgrade" => {
            Some("cannot be set: it follows from how the request is sent")
        }
        _ => None,
    }
}

/// Whether a header is there to say who we are.
pub(super) fn is_credential(name: &str) -> bool {
    ["authorization", "cookie"].iter().any(|known| name.eq_ignore_ascii_case(known))
}
