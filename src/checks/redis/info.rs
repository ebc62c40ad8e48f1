//! What a server says about itself in its answer to `INFO`.

use std::collections::HashMap;

use crate::{
    check::ProbeContext,
    outcome::{Failure, Reason, lossy},
    reading::ReadingDef,
    units::{Level, Limits, Ratio},
};

macro_rules! readings {
    ($($id:ident: $type:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(const $id: ReadingDef = ReadingDef::$type(
            concat!("health_redis_", $name),
            concat!($help, " as of the last background run."),
            &[$($label),*],
        );)*
        /// Every family that a `redis` check can fill.
        pub(super) const READINGS: [ReadingDef; [$(stringify!($id)),*].len()] = [$($id),*];
    };
}

readings! {
    INFO: gauge "info" ["version", "role", "mode"] "1, with the version, role and mode of the server,";
    MEMORY_USED: gauge "memory_used_bytes" [] "Memory that the server has allocated,";
    MEMORY_MAX: gauge "memory_max_bytes" [] "The server's maxmemory, absent when it has no limit,";
    MEMORY_THRESHOLD: gauge "memory_threshold_ratio" ["level"] "Limits of the memory used as a share of maxmemory,";
    CLIENTS: gauge "connected_clients" [] "Clients connected, replicas left out,";
    CLIENTS_MAX: gauge "max_clients" [] "The server's limit of clients,";
    CLIENTS_THRESHOLD: gauge "clients_threshold_ratio" ["level"] "Limits of the clients connected as a share of the limit of clients,";
    BLOCKED: gauge "blocked_clients" [] "Clients that wait in a blocking command,";
    EVICTED: counter "evicted_keys_total" [] "Keys evicted for want of memory since the server started,";
    EXPIRED: counter "expired_keys_total" [] "Keys expired since the server started,";
    REJECTED: counter "rejected_connections_total" [] "Connections rejected at the limit of clients since the server started,";
    HITS: counter "keyspace_hits_total" [] "Lookups that found their key since the server started,";
    MISSES: counter "keyspace_misses_total" [] "Lookups that did not find their key since the server started,";
    LINK_UP: gauge "master_link_up" [] "Whether the link of a replica to its master is up,";
    REPLICAS: gauge "connected_replicas" [] "Replicas connected,";
    LAG: gauge "replication_lag_seconds" [] "Time since a replica last heard from its master,";
    SAVED_AT: gauge "rdb_last_save_timestamp_seconds" [] "When the server last saved its data, in Unix time,";
    SAVE_OK: gauge "rdb_last_bgsave_successful" [] "Whether the last background save succeeded,";
}

/// What each number is recorded as; one that the server does not tell is left out.
const NUMBERS: [(&str, &ReadingDef); 10] = [
    ("used_memory", &MEMORY_USED),
    ("connected_clients", &CLIENTS),
    ("maxclients", &CLIENTS_MAX),
    ("blocked_clients", &BLOCKED),
    ("evicted_keys", &EVICTED),
    ("expired_keys", &EXPIRED),
    ("rejected_connections", &REJECTED),
    ("keyspace_hits", &HITS),
    ("keyspace_misses", &MISSES),
    ("connected_slaves", &REPLICAS),
];

/// The fields of an answer to `INFO`. What is not understood is as if it had not been said.
pub(super) struct Info<'a>(HashMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// `protocol` when it is nothing like what Redis says.
    pub(super) fn parse(answer: &'a str) -> Result<Self, Failure> {
        let fields: HashMap<_, _> =
            answer.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        if fields.contains_key("redis_version") || fields.contains_key("role") {
            Ok(Self(fields))
        } else {
            Err(Failure::new(Reason::Protocol, "the answer to INFO names no version and no role"))
        }
    }

    fn text(&self, field: &str) -> Option<&'a str> {
        self.0.get(field).copied()
    }

    fn number(&self, field: &str) -> Option<f64> {
        self.text(field)?.parse().ok().map(lossy)
    }

    /// The role in today's words.
    pub(super) fn role(&self) -> Option<&'a str> {
        self.text("role").map(|role| if role == "slave" { "replica" } else { role })
    }

    /// `standalone`, `cluster` or `sentinel`.
    pub(super) fn mode(&self) -> Option<&'a str> {
        self.text("redis_mode").or_else(|| self.text("server_mode"))
    }

    /// What becomes of keys when memory is full.
    pub(super) fn policy(&self) -> Option<&'a str> {
        self.text("maxmemory_policy")
    }

    /// Whether the data is still being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.text("loading") == Some("1") || self.text("async_loading") == Some("1")
    }

    /// Whether a replica's link to its master is up; `None` on a master.
    pub(super) fn link_is_up(&self) -> Option<bool> {
        self.text("master_link_status").map(|status| status == "up")
    }

    /// Whether a replica has yet to receive the data of its master.
    pub(super) fn is_synchronising(&self) -> bool {
        self.text("master_sync_in_progress") == Some("1")
    }

    /// What failed when the server last wrote its data to disk.
    pub(super) fn failed_persistence(&self) -> Option<&'static str> {
        [
            ("rdb_last_bgsave_status", "the last background save failed"),
            ("aof_last_write_status", "the last write to the append-only file failed"),
            ("aof_last_bgrewrite_status", "the last rewrite of the append-only file failed"),
        ]
        .into_iter()
        .find_map(|(field, message)| {
            self.text(field).filter(|text| *text == "err").map(|_| message)
        })
    }

    /// The memory used as a share of its limit; `None` without a limit.
    pub(super) fn memory_ratio(&self) -> Option<Ratio> {
        share(self.number("used_memory")?, self.number("maxmemory")?)
    }

    /// The clients connected as a share of their limit.
    pub(super) fn clients_ratio(&self) -> Option<Ratio> {
        share(self.number("connected_clients")?, self.number("maxclients")?)
    }

    /// Records all that was said.
    pub(super) fn record(&self, context: &ProbeContext) {
        let known = |text: Option<&'a str>| text.map_or("unknown", short);
        let version = known(self.text("redis_version"));
        let (role, mode) = (known(self.role()), known(self.mode()));
        context.read(&INFO, &[version, role, mode], 1.0);
        for (field, reading) in NUMBERS {
            if let Some(number) = self.number(field) {
                context.read(reading, &[], number);
            }
        }
        if let Some(limit) = self.number("maxmemory").filter(|limit| *limit > 0.0) {
            context.read(&MEMORY_MAX, &[], limit);
        }
        if let Some(up) = self.link_is_up() {
            context.read(&LINK_UP, &[], f64::from(u8::from(up)));
            context.detail("master_link_up", up);
        }
        if let Some(lag) = self.number("master_last_io_seconds_ago") {
            context.read(&LAG, &[], lag);
            context.detail("replication_lag_seconds", lag);
        }
        if let Some(saved) = self.number("rdb_last_save_time").filter(|saved| *saved > 0.0) {
            context.read(&SAVED_AT, &[], saved);
        }
        if let Some(status) = self.text("rdb_last_bgsave_status") {
            context.read(&SAVE_OK, &[], f64::from(u8::from(status == "ok")));
        }
        context.detail("version", version);
        context.detail("role", role);
        let numbers = [
            ("memory_used_bytes", self.number("used_memory")),
            ("memory_ratio", self.memory_ratio().map(|ratio| ratio.0)),
            ("connected_clients", self.number("connected_clients")),
            ("clients_ratio", self.clients_ratio().map(|ratio| ratio.0)),
            ("loading_eta_seconds", self.number("loading_eta_seconds")),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                context.detail(key, number);
            }
        }
    }
}

/// Exports the limits of memory that are judged by.
pub(super) fn record_memory_limits(limits: &Limits<Ratio>, context: &ProbeContext) {
    record_limits(&MEMORY_THRESHOLD, limits, context);
}

/// Exports the limits of clients that are judged by.
pub(super) fn record_client_limits(limits: &Limits<Ratio>, context: &ProbeContext) {
    record_limits(&CLIENTS_THRESHOLD, limits, context);
}

fn record_limits(reading: &ReadingDef, limits: &Limits<Ratio>, context: &ProbeContext) {
    for (level, Ratio(limit)) in limits.levels() {
        context.read(reading, &[Level::as_str(level)], limit);
    }
}

fn share(part: f64, whole: f64) -> Option<Ratio> {
    (whole > 0.0).then(|| Ratio(part / whole))
}

/// A text of the server as a label, which must not be of any length.
fn short(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio_util::sync::CancellationToken;

    const REPLICA: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\
        # Clients\r\nconnected_clients:45\r\nmaxclients:50\r\n\
        # Memory\r\nused_memory:75\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n\
        # Persistence\r\nloading:0\r\nrdb_last_bgsave_status:err\r\n\
        # Replication\r\nrole:slave\r\nmaster_host:::1\r\nmaster_link_status:up\r\n";

    #[test]
    fn an_answer_is_read() {
        let info = Info::parse(REPLICA).unwrap();
        assert_eq!((info.role(), info.mode()), (Some("replica"), Some("standalone")));
        assert_eq!(info.memory_ratio(), Some(Ratio(0.75)));
        assert_eq!(info.clients_ratio(), Some(Ratio(0.9)));
        assert_eq!(info.link_is_up(), Some(true));
        assert_eq!(info.failed_persistence(), Some("the last background save failed"));
        assert!(!info.is_loading());
    }

    #[test]
    fn what_is_no_number_is_as_if_it_had_not_been_said() {
        for maxmemory in ["0", "-5", "nan", "1e3", "", "99999999999999999999999"] {
            let answer = format!("role:master\nused_memory:75\nmaxmemory:{maxmemory}\n");
            assert_eq!(Info::parse(&answer).unwrap().memory_ratio(), None, "{maxmemory}");
        }
    }

    #[test]
    fn an_answer_without_version_and_role_is_none_of_redis() {
        for answer in ["", "hello", "a:b\r\n", "# Server\r\n"] {
            assert_eq!(Info::parse(answer).map(|_| ()).unwrap_err().reason, Reason::Protocol);
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(
            cut in 0..REPLICA.len(), strange in "\\PC{0,80}", at in 0..REPLICA.len(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let second = std::time::Duration::from_secs(1);
            let (never, threads) = (CancellationToken::new(), runtime.handle().clone());
            let context = ProbeContext::new(second, never, threads);
            let answer = format!("{}{strange}{}", &REPLICA[..cut], &REPLICA[at..]);
            if let Ok(info) = Info::parse(&answer) {
                info.record(&context);
            }
        }
    }
}
