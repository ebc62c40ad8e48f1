//! Settings of a `postgres` check.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{custom::MetricParams, expect::ExpectParams};
use crate::{
    secret::Secret,
    units::{Limits, Period, Ratio},
    wire::tls::TlsSettings,
};

/// Settings of a `postgres` check: where the server is, given by `url` or by `host`, `user` and
/// `database`, and what is asked of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PostgresParams {
    /// `postgres://user@host:port/database`, instead of `host`, `port`, `user` and `database`. The
    /// query may hold `sslmode` and `application_name`, and for a Unix socket `host` and `port`.
    pub(super) url: Option<Secret>,
    /// Name or address of the server, or the folder of its Unix socket, which begins with `/`;
    /// no default.
    pub(super) host: Option<String>,
    /// Port of the server, 5432 by default.
    pub(super) port: Option<u16>,
    /// The user to log in as; no default.
    pub(super) user: Option<String>,
    /// The database to ask; no default.
    pub(super) database: Option<String>,
    /// Password of the user; better kept in `password_file`.
    pub(super) password: Option<Secret>,
    /// File that holds the password; it is read anew before each login.
    pub(super) password_file: Option<PathBuf>,
    /// Whether the connection is encrypted. By default what the `url` says, else `require` when
    /// there is a `tls` section, else `prefer`; on a Unix socket `disable`.
    pub(super) sslmode: Option<SslMode>,
    /// How the connection is encrypted.
    pub(super) tls: Option<TlsSettings>,
    /// What the server has to be, `any` by default.
    pub(super) role: Role,
    /// Limits of the share of connections in use, of those that ordinary clients can have. By
    /// default warning 80% and critical 95%.
    pub(super) connections_ratio: Option<Limits<Ratio>>,
    /// Limits of how far a replica is behind, judged by the check of the replica only. By default
    /// warning 30s and critical 5m.
    pub(super) replication_lag: Option<Limits<Period>>,
    /// Limits of the age of the oldest open transaction. By default warning 15m and critical off.
    pub(super) longest_transaction: Option<Limits<Period>>,
    /// Whether the size of the database is measured, for which the server looks at all its files;
    /// `true` by default.
    pub(super) database_size: bool,
    /// One statement that only reads, run in a transaction of its own; none by default.
    pub(super) query: Option<String>,
    /// What the first value that `query` returns is to be; without it the query has only to work.
    pub(super) expect: Option<ExpectParams>,
    /// Metrics made of the results of statements; none by default.
    pub(super) metrics: Vec<MetricParams>,
}

impl Default for PostgresParams {
    fn default() -> Self {
        let seconds = |seconds| Period(Duration::from_secs(seconds));
        Self {
            url: None,
            host: None,
            port: None,
            user: None,
            database: None,
            password: None,
            password_file: None,
            sslmode: None,
            tls: None,
            role: Role::Any,
            connections_ratio: Some(Limits::new(Ratio(0.8), Ratio(0.95))),
            replication_lag: Some(Limits::new(seconds(30), seconds(300))),
            // A backup or a report takes its time; it must not take the database out of service.
            longest_transaction: Some(Limits { warning: Some(seconds(900)), critical: None }),
            database_size: true,
            query: None,
            expect: None,
            metrics: Vec::new(),
        }
    }
}

/// What a server has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Not in recovery, and transactions may write by default.
    Primary,
    /// In recovery.
    Replica,
    /// Whatever it is.
    Any,
}

/// Whether a connection is encrypted. A certificate is always verified, with the name of the
/// server, unless `tls.insecure` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SslMode {
    /// Never.
    Disable,
    /// When the server offers it.
    Prefer,
    /// Always.
    Require,
    /// Always; the same as `require`.
    VerifyFull,
}

impl SslMode {
    /// Every mode with its word.
    pub(super) const ALL: [(&str, Self); 4] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-full", Self::VerifyFull),
    ];
}
