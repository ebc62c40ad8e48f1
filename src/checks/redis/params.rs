//! How a `redis` check is configured.

use std::path::PathBuf;

use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::connection::{Address, Login, Opener};
use crate::{
    check::{Params, Shared, Target},
    node::Problem,
    secret::{Secret, SecretSource},
    units::{Limits, Ratio},
    wire::{stream::TlsClient, tls::TlsSettings},
};

/// Settings of a `redis` check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedisParams {
    /// Where the server is: `redis://[user[:password]@]host[:port][/database]`, the same with
    /// `rediss://` for TLS, or `unix:///path/to/socket`. One server, no cluster and no sentinel.
    url: Secret,
    /// The user to log in as, when `url` names none. Default: none, which is Redis' user `default`.
    #[serde(default)]
    username: Option<String>,
    /// A file that holds the password; it is read anew before every login.
    #[serde(default)]
    password_file: Option<PathBuf>,
    /// The number of the database, when `url` names none. Default: 0.
    #[serde(default)]
    database: Option<u32>,
    /// Settings of TLS; setting any turns TLS on. Default: off, unless `url` is `rediss://`.
    #[serde(default)]
    tls: Option<TlsSettings>,
    /// The role that the server must have: `any`, `master` or `replica`. Default: any.
    #[serde(default)]
    pub(super) role: Role,
    /// Whether a master is to store a key, give it back and delete it again. Default: true.
    #[serde(default = "on")]
    pub(super) round_trip: bool,
    /// What the names of those keys begin with. They expire by themselves within a minute.
    #[serde(default = "key_prefix")]
    pub(super) key_prefix: String,
    /// Limits of the memory in use as a share of `maxmemory`; null = off. Default: 80% and 95%
    /// where nothing is evicted (`maxmemory-policy noeviction`); a cache that evicts is meant to be
    /// full, so there it is off. What is written here holds under every policy.
    #[serde(default)]
    pub(super) memory_ratio: MemoryLimits,
    /// Limits of the clients connected as a share of `maxclients`; null = off. Default: 90% and
    /// 95%.
    #[serde(default = "clients_ratio")]
    pub(super) clients_ratio: Option<Limits<Ratio>>,
}

/// What a server of a replication is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Either will do.
    #[default]
    Any,
    /// Takes writes.
    Master,
    /// Follows a master.
    Replica,
}

/// When the use of memory is judged.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) enum MemoryLimits {
    /// By the default limits, where nothing is evicted.
    #[default]
    UnlessEvicting,
    /// By these limits, whatever the policy.
    Always(Limits<Ratio>),
    /// Never.
    Off,
}

impl MemoryLimits {
    /// The limits that hold under an eviction policy.
    pub(super) fn under(self, policy: Option<&str>) -> Option<Limits<Ratio>> {
        match self {
            Self::UnlessEvicting => {
                (policy == Some("noeviction")).then(|| Limits::new(Ratio(0.8), Ratio(0.95)))
            }
            Self::Always(limits) => Some(limits),
            Self::Off => None,
        }
    }
}

impl<'de> Deserialize<'de> for MemoryLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|limits| limits.map_or(Self::Off, Self::Always))
    }
}

impl JsonSchema for MemoryLimits {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Option::<Limits<Ratio>>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<Limits<Ratio>>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<RedisParams>()
}

fn on() -> bool {
    true
}

fn key_prefix() -> String {
    "health-exporter:".to_owned()
}

#[allow(clippy::unnecessary_wraps, reason = "the default of an optional key")]
fn clients_ratio() -> Option<Limits<Ratio>> {
    Some(Limits::new(Ratio(0.9), Ratio(0.95)))
}

const EXPECTED_URL: &str =
    "expected redis://[user[:password]@]host[:port][/database], rediss://… or unix:///path";

const SCHEMES: [&str; 7] =
    ["redis", "rediss", "valkey", "valkeys", "unix", "redis+unix", "valkey+unix"];

impl RedisParams {
    /// What is wrong with the values beside those that describe the connection.
    pub(super) fn rules(&self, params: &Params<'_>) -> Vec<Problem> {
        let memory = match self.memory_ratio {
            MemoryLimits::Always(limits) => limits,
            _ => Limits::default(),
        };
        let ordered = [
            ("memory_ratio", memory.rise()),
            ("clients_ratio", self.clients_ratio.is_none_or(|limits| limits.rise())),
        ];
        let falling = ordered.iter().filter(|(_, ordered)| !ordered);
        falling
            .map(|(key, _)| params.problem(key, "expected a warning that is not above critical"))
            .collect()
    }

    /// What opens the connections that are described.
    pub(super) fn opener(
        &self,
        params: &Params<'_>,
        shared: &Shared,
    ) -> Result<Opener, Vec<Problem>> {
        let url = self.parse_url(params)?;
        let mut problems = Vec::new();
        let mut keep = |problem: Vec<Problem>| problems.extend(problem);
        let login = self.login(&url, params).map_err(&mut keep).ok();
        let database = self.database(&url, params).map_err(&mut keep).ok();
        let address = self.address(&url, params, shared).map_err(&mut keep).ok();
        match (login, database, address) {
            (Some(login), Some(database), Some(address)) => {
                let target = target(&address, database);
                Ok(Opener::new(shared.wire.clone(), address, login, database, target))
            }
            _ => Err(problems),
        }
    }

    /// Messages about the text of the URL name no part of it but the scheme: it may hold a password.
    fn parse_url(&self, params: &Params<'_>) -> Result<ConnectionInfo, Vec<Problem>> {
        let text = self.url.expose();
        let wrong = |message: String| Err(vec![params.problem("url", message)]);
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        if scheme.contains("sentinel") || scheme.contains("cluster") {
            let message = "expected the address of one server: clusters and sentinels are not \
                           supported, make a check of each server";
            return wrong(message.to_owned());
        }
        let authority = text.split("://").nth(1).unwrap_or(text);
        let hosts = authority.split(['/', '?']).next().and_then(|part| part.rsplit('@').next());
        if hosts.is_some_and(|hosts| hosts.contains(',')) {
            return wrong("expected one host, found several: make a check of each server".into());
        }
        if text.contains('#') {
            let message = "expected no `#`: write `%23` in a password, and `tls: {insecure: true}` \
                           to accept any certificate";
            return wrong(message.to_owned());
        }
        match text.into_connection_info() {
            Ok(url) => Ok(url),
            Err(_) if SCHEMES.contains(&scheme) => {
                wrong(format!("{EXPECTED_URL}, found something else after `{scheme}://`"))
            }
            Err(_) => wrong(format!("{EXPECTED_URL}, found another scheme or none")),
        }
    }

    fn login(&self, url: &ConnectionInfo, params: &Params<'_>) -> Result<Login, Vec<Problem>> {
        let (user, password) = (url.redis_settings().username(), url.redis_settings().password());
        let mut problems = Vec::new();
        if user.is_some() && self.username.is_some() {
            let message = "expected only one of `username` and a user in `url`";
            problems.push(params.problem("username", message));
        }
        if password.is_some() && self.password_file.is_some() {
            let message = "expected only one of `password_file` and a password in `url`";
            problems.push(params.problem("password_file", message));
        }
        let file = params.secret("password", None, self.password_file.as_deref());
        match file {
            Ok(file) if problems.is_empty() => Ok(Login {
                user: self.username.clone().or(user.map(str::to_owned)),
                password: file.or(password.map(|text| SecretSource::Inline(Secret::new(text)))),
            }),
            Ok(_) => Err(problems),
            Err(unreadable) => Err(problems.into_iter().chain(unreadable).collect()),
        }
    }

    fn database(&self, url: &ConnectionInfo, params: &Params<'_>) -> Result<u32, Vec<Problem>> {
        match (u32::try_from(url.redis_settings().db()), self.database) {
            (Err(_), _) => {
                let message = "expected a database from 0 to 4294967295";
                Err(vec![params.problem("url", message)])
            }
            (Ok(0), database) => Ok(database.unwrap_or(0)),
            (Ok(database), None) => Ok(database),
            (Ok(_), Some(_)) => {
                let message = "expected only one of `database` and a database in `url`";
                Err(vec![params.problem("database", message)])
            }
        }
    }

    fn address(
        &self,
        url: &ConnectionInfo,
        params: &Params<'_>,
        shared: &Shared,
    ) -> Result<Address, Vec<Problem>> {
        let wrong = |key: &str, message: &str| Err(vec![params.problem(key, message)]);
        let (host, port, secure) = match url.addr() {
            ConnectionAddr::Tcp(host, port) => (host, *port, self.tls.is_some()),
            ConnectionAddr::TcpTls { host, port, .. } => (host, *port, true),
            ConnectionAddr::Unix(path) if self.tls.is_none() => {
                return Ok(Address::Unix(path.clone()));
            }
            ConnectionAddr::Unix(_) => {
                return wrong("tls", "expected no TLS on the socket that `url` names");
            }
            _ => return wrong("url", EXPECTED_URL),
        };
        let settings = self.tls.clone().unwrap_or_default();
        let tls = secure
            .then(|| TlsClient::new(&shared.wire, &settings, host, |path| params.resolve(path)))
            .transpose()
            .map_err(|tls| vec![params.problem(&format!("tls.{}", tls.key), tls.message)])?;
        Ok(Address::Tcp { host: host.clone(), port, tls })
    }
}

fn target(address: &Address, database: u32) -> Target {
    match address {
        Address::Unix(path) => {
            let path = path.display();
            Target { host: format!("unix:{path}"), display: format!("unix://{path}?db={database}") }
        }
        Address::Tcp { host, port, tls } => {
            let host = if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            let scheme = if tls.is_some() { "rediss" } else { "redis" };
            let display = format!("{scheme}://{host}/{database}");
            Target { host, display }
        }
    }
}
