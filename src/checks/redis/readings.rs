//! What is exported of what a server says about itself.

use super::info::Info;
use crate::{
    check::ProbeContext,
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

/// Records all that a server said of itself.
pub(super) fn record(info: &Info<'_>, context: &ProbeContext) {
    let version = known(info.text("redis_version"));
    let (role, mode) = (known(info.role()), known(info.mode()));
    context.read(&INFO, &[version, role, mode], 1.0);
    for (field, reading) in NUMBERS {
        if let Some(number) = info.number(field) {
            context.read(reading, &[], number);
        }
    }
    if let Some(limit) = info.number("maxmemory").filter(|limit| *limit > 0.0) {
        context.read(&MEMORY_MAX, &[], limit);
    }
    if let Some(up) = info.link_is_up() {
        context.read(&LINK_UP, &[], f64::from(u8::from(up)));
        context.detail("master_link_up", up);
    }
    if let Some(lag) = info.number("master_last_io_seconds_ago") {
        context.read(&LAG, &[], lag);
        context.detail("replication_lag_seconds", lag);
    }
    if let Some(saved) = info.number("rdb_last_save_time").filter(|saved| *saved > 0.0) {
        context.read(&SAVED_AT, &[], saved);
    }
    if let Some(status) = info.text("rdb_last_bgsave_status") {
        context.read(&SAVE_OK, &[], f64::from(u8::from(status == "ok")));
    }
    context.detail("version", version);
    context.detail("role", role);
    let numbers = [
        ("memory_used_bytes", info.number("used_memory")),
        ("memory_ratio", info.memory_ratio().map(|ratio| ratio.0)),
        ("connected_clients", info.number("connected_clients")),
        ("clients_ratio", info.clients_ratio().map(|ratio| ratio.0)),
        ("loading_eta_seconds", info.number("loading_eta_seconds")),
    ];
    for (key, number) in numbers {
        if let Some(number) = number {
            context.detail(key, number);
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

/// A text of the server as a label, which must not be of any length.
fn known(text: Option<&str>) -> &str {
    let text = text.unwrap_or("unknown");
    text.char_indices().nth(40).map_or(text, |(end, _)| &text[..end])
}
