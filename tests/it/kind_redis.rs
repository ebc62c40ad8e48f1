use std::process::Command;

use crate::app::TestApp;
use crate::servers::Redis;

const CACHE: &[(&str, &str)] = &[("check", "cache")];

/// A configuration with one check `cache`, whose section gets `more` keys.
fn config(port: u16, more: &str) -> String {
    format!(
        "checks:\n  - name: cache\n    interval: 500ms\n    retry_interval: 200ms\n    \
         redis: {{url: 'redis://127.0.0.1:{port}', {more}}}\n"
    )
}

/// The exporter with the check, which logs in with this password.
fn watch(redis: &Redis, password: &str, more: &str) -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), format!("{password}\n")).unwrap();
    let config = config(redis.port, &format!("password_file: password, {more}"));
    std::fs::write(folder.path().join("health.yml"), config).unwrap();
    TestApp::start_in(folder, &["--config", "health.yml"])
}

#[test]
fn a_server_shows_what_it_says_of_itself() {
    let Some(redis) = Redis::shared() else { return };
    let app = watch(redis, &redis.password, "role: master");
    let view = app.wait_for("cache", "healthy");
    assert_eq!(view["details"]["role"], "master");
    assert!(view["details"]["memory_used_bytes"].as_f64().unwrap() > 0.0, "{view}");
    let scrape = app.scrape();
    assert!(scrape.value("health_redis_memory_used_bytes", CACHE).unwrap() > 0.0);
    assert!(scrape.value("health_redis_connected_clients", CACHE).unwrap() >= 1.0);
    let info = [("check", "cache"), ("role", "master"), ("mode", "standalone")];
    assert_eq!(scrape.value("health_redis_info", &info), Some(1.0));
    let warning = [("check", "cache"), ("level", "warning")];
    assert_eq!(scrape.value("health_redis_clients_threshold_ratio", &warning), Some(0.9));
    assert_eq!(scrape.value("health_redis_memory_max_bytes", CACHE), None, "there is no limit");
    assert_eq!(scrape.value("health_redis_master_link_up", CACHE), None, "a master has no link");
    for phase in ["query", "round_trip"] {
        let phase = [("check", "cache"), ("phase", phase)];
        assert!(scrape.value("health_check_phase_duration_seconds", &phase).is_some());
    }
}

#[test]
fn runs_leave_neither_keys_nor_connections_behind() {
    let Some(redis) = Redis::dedicated() else { return };
    let app = watch(&redis, &redis.password, "");
    app.wait_for("cache", "healthy");
    let connections = || redis.command(&["INFO", "stats"]);
    let counted = |info: String| {
        let line = info.lines().find(|line| line.starts_with("total_connections_received:"));
        line.unwrap().trim_end().rsplit(':').next().unwrap().parse::<u64>().unwrap()
    };
    let before = counted(connections());
    app.wait_for_runs("cache", 3);
    assert_eq!(counted(connections()), before + 1, "beside our own question");
    // A round trip may be under way, which deletes its key in the same breath.
    assert_eq!(redis.command(&["DBSIZE"]), "0");
    let clients = redis.command(&["CLIENT", "LIST"]);
    assert_eq!(clients.matches("name=health-exporter").count(), 1, "{clients}");
}

#[test]
fn a_wrong_password_is_error_auth_until_its_file_is_right() {
    let Some(redis) = Redis::shared() else { return };
    let app = watch(redis, "wrong", "");
    let view = app.wait_for("cache", "error");
    assert_eq!(view["reason"], "auth");
    assert_eq!(view["error"], "the server refused the user or the password");
    std::fs::write(app.folder().join("password"), &redis.password).unwrap();
    app.wait_for("cache", "healthy");
}

#[test]
fn a_server_that_stops_is_error_connect_and_recovers() {
    let Some(redis) = Redis::dedicated() else { return };
    let app = watch(&redis, &redis.password, "");
    app.wait_for("cache", "healthy");
    redis.stop();
    let view = app.wait_for("cache", "error");
    assert_eq!(view["reason"], "connect");
    assert_eq!(view["error"], "the connection was refused");
    redis.start();
    app.wait_for("cache", "healthy");
    assert_eq!(
        app.transitions("cache"),
        ["healthy -> error (connect)", "error -> healthy ()"],
        "one line each way"
    );
}

#[test]
fn a_server_that_hangs_is_error_timeout_and_gets_a_new_connection() {
    let Some(redis) = Redis::dedicated() else { return };
    let app = watch(&redis, &redis.password, "");
    app.wait_for("cache", "healthy");
    redis.command(&["CLIENT", "PAUSE", "3000", "ALL"]);
    assert_eq!(app.wait_for("cache", "error")["reason"], "timeout");
    app.wait_for("cache", "healthy");
    let clients = redis.command(&["CLIENT", "LIST"]);
    assert_eq!(clients.matches("name=health-exporter").count(), 1, "{clients}");
}

#[test]
fn memory_that_fills_up_is_degraded_then_unhealthy() {
    let Some(redis) = Redis::dedicated() else { return };
    let app = watch(&redis, &redis.password, "");
    app.wait_for("cache", "healthy");
    // So much that what a connection takes makes no difference.
    redis.command(&["SETRANGE", "ballast", "67108864", "x"]);
    let used: u64 = {
        let info = redis.command(&["INFO", "memory"]);
        let line = info.lines().find(|line| line.starts_with("used_memory:")).unwrap();
        line.trim_end().rsplit(':').next().unwrap().parse().unwrap()
    };
    let limit_memory = |percent: u64| {
        redis.command(&["CONFIG", "SET", "maxmemory", &(used * 100 / percent).to_string()]);
    };
    limit_memory(87);
    let view = app.wait_for("cache", "degraded");
    assert_eq!(view["reason"], "threshold");
    let ratio = app.check("cache")["details"]["memory_ratio"].as_f64().unwrap();
    assert!((0.80..0.95).contains(&ratio), "{ratio}");
    let critical = [("check", "cache"), ("level", "critical")];
    let threshold = app.scrape().value("health_redis_memory_threshold_ratio", &critical);
    assert_eq!(threshold, Some(0.95));
    limit_memory(97);
    let view = app.wait_for("cache", "unhealthy");
    assert_eq!(view["reason"], "threshold");
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    app.wait_for("cache", "healthy");
}

#[test]
fn a_replica_is_judged_by_its_role_and_its_link() {
    let Some(master) = Redis::dedicated() else { return };
    let port = master.port.to_string();
    let arguments =
        ["--replicaof", "127.0.0.1", &port, "--masterauth", &master.password, "--save", ""];
    let Some(replica) = Redis::with_arguments(&arguments) else { return };
    let app = watch(&replica, &replica.password, "role: replica");
    let view = app.wait_for("cache", "healthy");
    assert_eq!(view["details"]["round_trip"], "left out: a replica takes no writes");
    assert_eq!(app.scrape().value("health_redis_master_link_up", CACHE), Some(1.0));
    master.stop();
    let view = app.wait_for("cache", "unhealthy");
    assert_eq!(view["reason"], "assertion");
    assert_eq!(view["error"], "the link of the replica to its master is down");
    assert_eq!(app.scrape().value("health_redis_master_link_up", CACHE), Some(0.0));
    let other = watch(&replica, &replica.password, "role: master");
    let view = other.wait_for("cache", "unhealthy");
    assert_eq!(view["error"], "the server is not the master that it should be");
}

#[test]
fn a_server_at_its_limit_of_clients_is_error_pool() {
    let Some(redis) = Redis::dedicated() else { return };
    redis.command(&["CONFIG", "SET", "maxclients", "1"]);
    let taken = std::net::TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    let app = watch(&redis, &redis.password, "clients_ratio: ~");
    let view = app.wait_for("cache", "error");
    assert_eq!(view["reason"], "pool");
    assert_eq!(view["error"], "the server has reached its limit of clients");
    drop(taken);
    app.wait_for("cache", "healthy");
}

#[test]
fn a_user_needs_no_more_rights_than_documented() {
    let Some(redis) = Redis::shared() else { return };
    let grant = |name: &str, rights: &[&str]| {
        let user = [&["ACL", "SETUSER", name, "on", ">secret", "-@all"], rights].concat();
        assert_eq!(redis.command(&user), "OK");
    };
    grant("full", &["+ping", "+info", "+client|setname", "~full:*", "+set", "+get", "+del"]);
    grant("writes-nothing", &["+ping", "+info"]);
    grant("knows-nothing", &["+ping", "~blind:*", "+set", "+get", "+del"]);

    let app = watch(redis, "secret", "username: full, key_prefix: 'full:', role: master");
    app.wait_for("cache", "healthy");

    let app = watch(redis, "secret", "username: writes-nothing");
    let view = app.wait_for("cache", "error");
    assert_eq!(view["reason"], "auth");
    let version = app.scrape().value("health_redis_info", CACHE);
    assert_eq!(version, Some(1.0), "what was read before the failure stays");
    let app = watch(redis, "secret", "username: writes-nothing, round_trip: false");
    app.wait_for("cache", "healthy");

    let app = watch(redis, "secret", "username: knows-nothing, key_prefix: 'blind:'");
    let view = app.wait_for("cache", "healthy");
    assert!(view["details"]["limited"].is_string(), "{view}");
    let app = watch(redis, "secret", "username: knows-nothing, role: master");
    assert_eq!(app.wait_for("cache", "error")["reason"], "auth");
}

#[test]
fn a_section_that_cannot_work_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = config(6379, "role: leader");
    std::fs::write(folder.path().join("health.yml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_health-exporter"));
    let output =
        command.args(["check-config", "health.yml"]).current_dir(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    let expected = "health.yml:5:50: check `cache`: redis.role: expected one of `any`, `master`, \
                    `replica`, found `leader`";
    assert!(told.contains(expected), "{told}");
}
