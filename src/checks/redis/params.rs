//! How a `redis` check is configured.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::memory::MemoryLimits;
use crate::{
    check::Params,
    node::Problem,
    secret::Secret,
    units::{Limits, Ratio},
    wire::tls::TlsSettings,
};

/// Settings of a `redis` check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedisParams {
    /// Where the server is: `redis://[user[:password]@]host[:port][/database]`, the same with
    /// `rediss://` for TLS, or `unix:///path/to/socket`. One server, no cluster and no sentinel.
    pub(super) url: Secret,
    /// The user to log in as, when `url` names none. Default: none, which is Redis' user `default`.
    #[serde(default)]
    pub(super) username: Option<String>,
    /// A file that holds the password; it is read anew before every login.
    #[serde(default)]
    pub(super) password_file: Option<PathBuf>,
    /// The number of the database, when `url` names none. Default: 0.
    #[serde(default)]
    pub(super) database: Option<u32>,
    /// Settings of TLS; setting any turns TLS on. Default: off, unless `url` is `rediss://`.
    #[serde(default)]
    pub(super) tls: Option<TlsSettings>,
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
}
