//! The metric families of the kind.

use crate::reading::ReadingDef;

/// Defines the families and the list of them all.
macro_rules! families {
    ($($name:ident = $make:ident($text:literal, $help:literal, $labels:expr);)*) => {
        $(pub(super) const $name: ReadingDef = ReadingDef::$make(
            $text,
            concat!($help, ", as of the last background run."),
            &$labels,
        );)*

        /// Every family, in the order of the documentation.
        pub(super) const ALL: &[ReadingDef] = &[$($name,)*];
    };
}

families! {
    INFO = gauge("health_postgres_info", "Version of the server, always 1", ["version"]);
    START_TIME = gauge("health_postgres_start_time_seconds",
        "When the server was started, in Unix seconds", []);
    IN_RECOVERY = gauge("health_postgres_in_recovery", "1 on a replica, 0 on a primary", []);
    READ_ONLY = gauge("health_postgres_read_only",
        "1 when transactions are read-only by default, whatever the role of the server", []);
    CONNECTIONS = gauge("health_postgres_connections",
        "Sessions of clients; `other` holds those whose state may not be seen", ["state"]);
    MAX_CONNECTIONS = gauge("health_postgres_max_connections",
        "Sessions that ordinary clients can have, the reserved ones taken off", []);
    CONNECTIONS_THRESHOLD = gauge("health_postgres_connections_threshold_ratio",
        "Configured limit of the share of connections in use", ["level"]);
    LONGEST_TRANSACTION = gauge("health_postgres_longest_transaction_seconds",
        "Age of the oldest open transaction of another client, 0 when there is none", []);
    LONGEST_TRANSACTION_THRESHOLD = gauge("health_postgres_longest_transaction_threshold_seconds",
        "Configured limit of the age of the oldest open transaction", ["level"]);
    LOCKS_WAITING = gauge("health_postgres_locks_waiting", "Lock requests that wait", []);
    COMMITS = counter("health_postgres_commits_total",
        "Transactions committed in the database", ["datname"]);
    ROLLBACKS = counter("health_postgres_rollbacks_total",
        "Transactions rolled back in the database", ["datname"]);
    DEADLOCKS = counter("health_postgres_deadlocks_total",
        "Deadlocks in the database", ["datname"]);
    DATABASE_SIZE = gauge("health_postgres_database_size_bytes",
        "Size of the database on disk", ["datname"]);
    XID_AGE = gauge("health_postgres_xid_age",
        "Transactions since the oldest one not frozen, of all databases; the server stops at 2^31", []);
    REPLICATION_LAG = gauge("health_postgres_replication_lag_seconds",
        "How far a replica is behind; `self` is the server that was asked", ["replica"]);
    REPLICATION_LAG_BYTES = gauge("health_postgres_replication_lag_bytes",
        "Write-ahead log that a replica has not replayed yet", ["replica"]);
    REPLICATION_LAG_THRESHOLD = gauge("health_postgres_replication_lag_threshold_seconds",
        "Configured limit of the replication lag", ["level"]);
    SLOT_ACTIVE = gauge("health_postgres_replication_slot_active",
        "1 while somebody streams from the replication slot", ["slot"]);
    SLOT_RETAINED = gauge("health_postgres_replication_slot_retained_bytes",
        "Write-ahead log that the replication slot keeps the server from removing", ["slot"]);
    POOL_CONNECTIONS = gauge("health_pool_connections",
        "Connections of the pool as the run began, by state", ["state"]);
    POOL_MAX_CONNECTIONS = gauge("health_pool_max_connections",
        "Connections that the pool may open", []);
    POOL_WAITING = gauge("health_pool_waiting",
        "Callers that waited for a connection of the pool as the run began", []);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::MetricType;

    #[test]
    fn counters_and_only_counters_end_in_total() {
        for def in ALL {
            let counter = def.metric_type() == MetricType::Counter;
            assert_eq!(def.name().ends_with("_total"), counter, "{}", def.name());
        }
    }
}
