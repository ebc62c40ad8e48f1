//! The settings of an `http` check as they are written.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{json::JsonParams, patterns::Patterns, status::StatusSet};
use crate::{
    secret::Secret,
    units::{ByteSize, Limits, Period},
    wire::{http::IpFamily, tls::TlsSettings},
};

/// Settings of an `http` check. Each run opens a new connection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpParams {
    /// What to ask, `http://` or `https://`, without user and password.
    pub(super) url: String,
    /// The method; default GET.
    #[serde(default)]
    pub(super) method: HttpMethod,
    /// Headers to send, to the origin of `url` only.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Secret>,
    /// A body to send; default none.
    pub(super) body: Option<Secret>,
    /// The statuses that are fine: one such as 204, a range such as 200-299, or a list of these;
    /// default 200-299. A redirect that is listed here is not followed.
    #[serde(default)]
    pub(super) status: StatusSet,
    /// A regular expression, or a list of them, that must each be found in the body.
    #[serde(default)]
    pub(super) body_regex: Patterns,
    /// A regular expression, or a list of them, of which none may be found in the body.
    #[serde(default)]
    pub(super) body_not_regex: Patterns,
    /// What must hold for the body, which must then be JSON.
    #[serde(default)]
    pub(super) json: Vec<JsonParams>,
    /// For each of these headers a regular expression that must be found in a value of it.
    #[serde(default)]
    pub(super) header_regex: BTreeMap<String, String>,
    /// A body larger than this, after decompression, is unhealthy; default 1MiB.
    #[serde(default = "default_max_body")]
    pub(super) max_body: ByteSize,
    /// How many redirects to follow, 0 to 10; default 3, or 0 when `headers`, `body` or any
    /// credentials are configured. Credentials are never sent along a redirect.
    pub(super) redirects: Option<u8>,
    /// User and password to log in with.
    pub(super) basic_auth: Option<BasicAuth>,
    /// A file with a token to send as `Authorization: Bearer`; read anew for each run.
    pub(super) bearer_token_file: Option<PathBuf>,
    /// How to speak TLS. Files are read again when they change.
    #[serde(default)]
    pub(super) tls: TlsSettings,
    /// Limits of the time that is left until the first certificate of the chain expires; default
    /// warning 14d, critical 3d; null = off.
    #[serde(default = "default_cert_expiry")]
    pub(super) cert_expiry: Option<Limits<Period>>,
    /// An HTTP proxy to go through, `http://host:port`; default none, whatever the environment
    /// says.
    pub(super) proxy: Option<String>,
    /// User and password for `proxy`.
    pub(super) proxy_auth: Option<BasicAuth>,
    /// 4 or 6: connect over this version of IP only; default both, whichever is faster.
    pub(super) ip_protocol: Option<IpProtocol>,
    /// An address, or address and port, to connect to instead of resolving the host of `url`.
    pub(super) resolve_to: Option<String>,
}

fn default_max_body() -> ByteSize {
    ByteSize(1 << 20)
}

#[allow(clippy::unnecessary_wraps)] // serde wants the type of the field
fn default_cert_expiry() -> Option<Limits<Period>> {
    const DAY: u64 = 24 * 3_600;
    let days = |days| Period(Duration::from_secs(days * DAY));
    Some(Limits::new(days(14), days(3)))
}

/// A user with a password, of which one of the two keys is set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicAuth {
    /// The user.
    pub(super) username: String,
    /// The password.
    pub(super) password: Option<Secret>,
    /// A file with the password; read anew for each run.
    pub(super) password_file: Option<PathBuf>,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum HttpMethod {
    /// Ask for a representation.
    #[default]
    Get,
    /// Ask for the head of one only.
    Head,
    /// Send something.
    Post,
    /// Replace something.
    Put,
    /// Change something.
    Patch,
    /// Remove something.
    Delete,
    /// Ask what is possible.
    Options,
}

impl From<HttpMethod> for Method {
    fn from(method: HttpMethod) -> Self {
        match method {
            HttpMethod::Get => Self::GET,
            HttpMethod::Head => Self::HEAD,
            HttpMethod::Post => Self::POST,
            HttpMethod::Put => Self::PUT,
            HttpMethod::Patch => Self::PATCH,
            HttpMethod::Delete => Self::DELETE,
            HttpMethod::Options => Self::OPTIONS,
        }
    }
}

/// A version of IP by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum IpProtocol {
    /// IPv4.
    #[serde(rename = "4")]
    V4,
    /// IPv6.
    #[serde(rename = "6")]
    V6,
}

impl JsonSchema for IpProtocol {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IpProtocol".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "A version of IP", "enum": [4, 6, "4", "6"] })
    }
}

impl From<IpProtocol> for IpFamily {
    fn from(protocol: IpProtocol) -> Self {
        match protocol {
            IpProtocol::V4 => Self::V4,
            IpProtocol::V6 => Self::V6,
        }
    }
}
