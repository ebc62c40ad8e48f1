//! What the server tells about itself, in one statement.

use std::time::Duration;

use super::{
    failure, readings,
    session::{Answer, Session, Unanswered},
};
use crate::{check::ProbeContext, outcome::Failure};

/// What is asked. Each part returns the columns `name`, `label` and `value`; the name is that of a
/// family, or one that only [`Statistics::take`] knows.
const SECTIONS: [(&str, &str); 6] = [
    (SERVER, include_str!("sql/server.sql")),
    (ACTIVITY, include_str!("sql/activity.sql")),
    ("locks", include_str!("sql/locks.sql")),
    ("database", include_str!("sql/database.sql")),
    (REPLICATION, include_str!("sql/replication.sql")),
    (SIZE, include_str!("sql/size.sql")),
];

/// Without this one nothing can be judged.
const SERVER: &str = "server";
const ACTIVITY: &str = "activity";
const REPLICATION: &str = "replication";
/// The server looks at every file of the database for it.
const SIZE: &str = "size";

/// More than all sections return: they limit what has no bound of its own.
const MAX_ROWS: usize = 1_000;

/// What the verdict needs; `None` is what the user may not see or the server does not know.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Statistics {
    /// Whether the server is a replica.
    pub(super) in_recovery: bool,
    /// Whether transactions are read-only by default.
    pub(super) read_only: bool,
    /// How far a replica is behind.
    pub(super) replication_lag: Option<Duration>,
    /// The age of the oldest open transaction of another client.
    pub(super) longest_transaction: Option<Duration>,
    connections: f64,
    max_connections: f64,
    unreadable: Vec<&'static str>,
}

impl Statistics {
    /// Asks the server, and records what it says as readings and details.
    ///
    /// What the user has no right to read, or what a server that only resembles PostgreSQL does
    /// not have, is left out and named in the details.
    pub(super) async fn gather(
        session: &mut Session<'_>,
        with_size: bool,
        context: &ProbeContext,
    ) -> Result<Self, Failure> {
        let sections = || SECTIONS.iter().filter(|(name, _)| with_size || *name != SIZE);
        let whole: Vec<_> = sections().map(|(_, sql)| format!("({sql})")).collect();
        let mut found = Self::default();
        match session.ask(&whole.join(" UNION ALL "), MAX_ROWS).await {
            Ok(answer) => found.take(&answer, context),
            Err(Unanswered::Refused(code, _)) if failure::is_missing(&code) => {
                for (name, sql) in sections() {
                    match session.ask(sql, MAX_ROWS).await {
                        Ok(answer) => found.take(&answer, context),
                        Err(Unanswered::Refused(code, _))
                            if failure::is_missing(&code) && *name != SERVER =>
                        {
                            found.miss(name);
                        }
                        Err(other) => return Err(other.into()),
                    }
                }
            }
            Err(other) => return Err(other.into()),
        }
        found.show(context);
        Ok(found)
    }

    /// The share of the connections for ordinary clients that is in use.
    pub(super) fn connections_ratio(&self) -> Option<f64> {
        let known = self.connections > 0.0 && self.max_connections > 0.0;
        known.then(|| self.connections / self.max_connections)
    }

    fn take(&mut self, answer: &Answer, context: &ProbeContext) {
        for row in &answer.rows {
            let text = |column| row.try_get(column).ok().flatten();
            let (Some(name), label) = (text(0), text(1)) else { continue };
            let Some(value) = text(2).and_then(|value| value.parse::<f64>().ok()) else { continue };
            if let Some(def) = readings::ALL.iter().find(|def| def.name() == name) {
                context.read(def, label.as_slice(), value);
            }
            let time = || Duration::try_from_secs_f64(value).ok();
            match (name, label) {
                ("health_postgres_info", Some(version)) => context.detail("version", version),
                ("health_postgres_in_recovery", _) => self.in_recovery = value > 0.0,
                ("health_postgres_read_only", _) => self.read_only = value > 0.0,
                ("health_postgres_connections", _) => self.connections += value,
                ("health_postgres_max_connections", _) => self.max_connections = value,
                ("health_postgres_locks_waiting", _) => context.detail("locks_waiting", value),
                ("health_postgres_longest_transaction_seconds", _) => {
                    self.longest_transaction = time();
                }
                ("health_postgres_replication_lag_seconds", Some("self")) => {
                    self.replication_lag = time();
                }
                ("receives", _) => context.detail("receives", value > 0.0),
                ("reads_all_statistics", _) if value == 0.0 => {
                    self.miss(ACTIVITY);
                    self.miss(REPLICATION);
                }
                _ => {}
            }
        }
    }

    fn miss(&mut self, section: &'static str) {
        if !self.unreadable.contains(&section) {
            self.unreadable.push(section);
        }
    }

    fn show(&self, context: &ProbeContext) {
        context.detail("role", if self.in_recovery { "replica" } else { "primary" });
        context.detail("read_only", self.read_only);
        if let Some(ratio) = self.connections_ratio() {
            context.detail("connections_ratio", ratio);
        }
        if let Some(age) = self.longest_transaction {
            context.detail("longest_transaction_seconds", age.as_secs_f64());
        }
        if let Some(lag) = self.replication_lag {
            context.detail("replication_lag_seconds", lag.as_secs_f64());
        }
        if !self.unreadable.is_empty() {
            context.detail("limited", true);
            context.detail("unreadable", self.unreadable.join(", "));
        }
    }
}
