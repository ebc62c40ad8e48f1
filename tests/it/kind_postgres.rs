use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    process::Command,
};

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::{
    app::TestApp,
    certificates::Authority,
    servers::{Database, Pgbouncer, Postgres},
};

/// A check that follows its target at once; `section` is what stands in `postgres: {…}`.
fn check(name: &str, section: &str) -> String {
    format!(
        "  - {{name: {name}, interval: 1s, timeout: 1s, retry_interval: 200ms, \
         failure_threshold: 1, postgres: {{{section}}}}}\n"
    )
}

fn start(checks: &[String]) -> TestApp {
    TestApp::start(&format!("checks:\n{}", checks.concat()))
}

fn url(url: &str) -> String {
    format!("url: '{url}'")
}

/// Waits until the check says this, since on a busy machine a run may fail for its time first.
fn wait_for(app: &TestApp, check: &str, (status, reason, error): (&str, &str, &str)) -> Value {
    app.wait_until(check, error, |view| {
        view["status"] == status && view["reason"] == reason && view["error"] == error
    })
}

/// The database of a test, whose owner may read all statistics.
fn monitored(server: &Postgres) -> Database {
    let database = server.create_database();
    server.execute(&format!("GRANT pg_read_all_stats TO {}", database.owner));
    database
}

/// A session that stays open.
struct Session {
    runtime: Runtime,
    client: Client,
}

impl Session {
    fn open(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (client, connection) = runtime.block_on(tokio_postgres::connect(url, NoTls)).unwrap();
        runtime.spawn(connection);
        Self { runtime, client }
    }

    fn run(&self, statements: &str) {
        self.runtime.block_on(self.client.batch_execute(statements)).unwrap();
    }

    fn ask(&self, query: &str) -> String {
        let row = self.runtime.block_on(self.client.query_one(query, &[])).unwrap();
        row.get(0)
    }
}

#[test]
fn a_server_is_shown_in_metrics_and_health() {
    let Some(server) = Postgres::shared() else { return };
    let database = monitored(server);
    let app = start(&[check("db", &format!("{}, role: primary", url(&database.url())))]);
    let view = app.wait_for("db", "healthy");
    assert_eq!(view["details"]["role"], "primary");
    assert_eq!(view["details"]["read_only"], false);
    assert_eq!(view["details"]["limited"], Value::Null);
    for key in ["connections_ratio", "longest_transaction_seconds", "query_seconds"] {
        assert!(view["details"][key].is_number(), "{key}: {view:#}");
    }
    let (port, name) = (database.port, &database.name);
    assert_eq!(view["target"], format!("postgres://127.0.0.1:{port}/{name}"));

    let scrape = app.scrape();
    let own = [("check", "db"), ("kind", "postgres")];
    let value = |family| scrape.value(family, &own).unwrap_or_else(|| panic!("no {family}"));
    assert_eq!(scrape.value("health_postgres_in_recovery", &own), Some(0.0));
    assert_eq!(scrape.value("health_postgres_max_connections", &own), Some(97.0));
    assert!(value("health_postgres_start_time_seconds") > 1.6e9);
    assert!(value("health_postgres_xid_age") > 0.0);
    assert!(scrape.sum("health_postgres_connections", &own) >= 1.0);
    let of_database = [("check", "db"), ("datname", name)];
    assert!(scrape.value("health_postgres_commits_total", &of_database).unwrap() >= 0.0);
    assert!(scrape.value("health_postgres_database_size_bytes", &of_database).unwrap() > 1e6);
    let warning = [("check", "db"), ("level", "warning")];
    assert_eq!(scrape.value("health_postgres_connections_threshold_ratio", &warning), Some(0.8));
    assert_eq!(scrape.value("health_pool_max_connections", &own), Some(1.0));
    app.wait_for_runs("db", 2);
    let idle = [("check", "db"), ("state", "idle")];
    assert_eq!(app.scrape().value("health_pool_connections", &idle), Some(1.0));

    let told = format!("{}{}{:?}", app.get("/metrics").body, app.get("/health").body, app.log());
    assert!(!told.contains(&database.password) && !told.contains(&database.owner), "{told}");
}

#[test]
fn each_step_to_a_connection_has_its_time_and_its_reason() {
    let Some(server) = Postgres::shared() else { return };
    let database = server.create_database();
    let Database { name, owner, password, port } = &database;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().map(|address| (silent, address.port())).unwrap();
    let at = |host: &str, port: u16, rest: &str| {
        url(&format!("postgres://{owner}:{password}@{host}:{port}/{name}{rest}"))
    };
    let app = start(&[
        check("dns", &at("nowhere.invalid", *port, "")),
        check("connect", &at("127.0.0.1", 1, "")),
        check("timeout", &at("127.0.0.1", silent.1, "")),
        check("tls", &at("127.0.0.1", *port, "?sslmode=require")),
        check("auth", &url(&format!("postgres://{owner}:wrong@127.0.0.1:{port}/{name}"))),
        check("config", &url(&format!("postgres://{owner}:{password}@127.0.0.1:{port}/no_such"))),
    ]);
    for (name, error, reached, not_reached) in [
        ("dns", "the name of the server cannot be resolved", "resolve", "connect"),
        ("connect", "the server refuses connections", "connect", "auth"),
        ("timeout", "no answer within 1s (phase: auth)", "auth", "query"),
        ("tls", "the server offers no TLS", "tls", "auth"),
        ("auth", "the server refused the password", "auth", "query"),
        ("config", "the database does not exist", "auth", "query"),
    ] {
        wait_for(&app, name, ("error", name, error));
        let scrape = app.scrape();
        let phase = |phase| {
            scrape
                .value("health_check_phase_duration_seconds", &[("check", name), ("phase", phase)])
        };
        assert!(phase(reached).is_some() && phase(not_reached).is_none(), "{name}");
        assert_eq!(scrape.value("health_pool_max_connections", &[("check", name)]), Some(1.0));
    }
}

#[test]
fn a_password_file_is_read_anew_before_each_login() {
    let Some(server) = Postgres::shared() else { return };
    let Database { name, owner, password, port } = server.create_database();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("password"), "outdated").unwrap();
    let section = format!(
        "host: 127.0.0.1, port: {port}, user: {owner}, database: {name}, password_file: password"
    );
    let config = format!("checks:\n{}", check("db", &section));
    fs::write(folder.path().join("health.yml"), config).unwrap();
    let app = TestApp::start_in(folder, &["--config", "health.yml"]);
    wait_for(&app, "db", ("error", "auth", "the server refused the password"));
    fs::write(app.folder().join("password"), password).unwrap();
    app.wait_for("db", "healthy");
}

#[test]
fn a_unix_socket_will_do() {
    let Some(server) = Postgres::shared() else { return };
    let Database { name, owner, password, port } = server.create_database();
    let folder = server.socket_dir().display();
    let app = start(&[check(
        "db",
        &format!(
            "host: {folder}, port: {port}, user: {owner}, database: {name}, password: {password}"
        ),
    )]);
    app.wait_for("db", "healthy");
}

#[test]
fn a_server_that_stops_and_comes_back_is_one_transition_each_way() {
    let Some(server) = Postgres::dedicated() else { return };
    let database = monitored(&server);
    let url = database.url();
    let app = TestApp::start(&format!(
        "checks:\n  - {{name: db, interval: 1s, timeout: 1s, retry_interval: 200ms, \
         failure_threshold: 2, postgres: {{url: '{url}', role: primary}}}}\n"
    ));
    app.wait_for("db", "healthy");
    server.stop();
    app.wait_until("db", "cut off", |view| view["reason"] == "connect");
    assert_eq!(app.scrape().value("health_postgres_in_recovery", &[("check", "db")]), None);
    server.start();
    app.wait_for("db", "healthy");
    let changes = app.transitions("db");
    let turns: Vec<_> = changes.iter().filter(|change| change.contains("healthy")).collect();
    assert!(
        matches!(&turns[..], [down, up] if down.starts_with("healthy -> error")
            && up.starts_with("error -> healthy")),
        "{changes:?}"
    );

    server.execute("ALTER SYSTEM SET default_transaction_read_only = on");
    server.execute("SELECT pg_reload_conf()");
    let error = "expected a primary that takes writes, found it read-only";
    wait_for(&app, "db", ("unhealthy", "assertion", error));
    assert_eq!(app.scrape().value("health_postgres_read_only", &[("check", "db")]), Some(1.0));
}

#[test]
fn a_full_server_is_told_from_a_broken_one() {
    let Some(server) = Postgres::shared() else { return };
    let database = monitored(server);
    let url = url(&database.url());
    server.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 0", database.owner));
    let app = start(&[check("db", &url)]);
    wait_for(&app, "db", ("error", "pool", "the server has no free connection slot"));
}

#[test]
fn limits_degrade_a_server_and_take_it_out_of_service() {
    let Some(server) = Postgres::shared() else { return };
    let database = monitored(server);
    let busy = Session::open(&database.url());
    busy.run("BEGIN");
    let url = url(&database.url());
    let app = start(&[
        check("few", &format!("{url}, connections_ratio: {{warning: 1%}}")),
        check("full", &format!("{url}, connections_ratio: {{critical: 1%}}")),
        check("old", &format!("{url}, longest_transaction: {{critical: 100ms}}")),
    ]);
    for (name, status, error) in [
        ("few", "degraded", "connections "),
        ("full", "unhealthy", "connections "),
        ("old", "unhealthy", "longest transaction "),
    ] {
        let view = app.wait_for(name, status);
        assert_eq!(view["reason"], "threshold");
        assert!(view["error"].as_str().unwrap().starts_with(error), "{view:#}");
    }
    let critical = [("check", "old"), ("level", "critical")];
    let family = "health_postgres_longest_transaction_threshold_seconds";
    assert_eq!(app.scrape().value(family, &critical), Some(0.1));
}

#[test]
fn a_query_is_held_against_what_is_expected() {
    let Some(server) = Postgres::shared() else { return };
    let database = server.create_database();
    database.execute("CREATE TABLE jobs (stuck int); INSERT INTO jobs VALUES (0)");
    let url = url(&database.url());
    let query = |rest: &str| format!("{url}, query: {rest}");
    let app = start(&[
        check("met", &query("SELECT stuck FROM jobs, expect: {below: 3}")),
        check("flag", &query("SELECT true -- always, expect: {equals: true}")),
        check("none", &query("SELECT 1 WHERE false, expect: {exists: false}")),
        check("broken", &query("SELECT 1 / stuck FROM jobs")),
        check("unknown", &query("SELECT * FROM no_such_table")),
        check("denied", &query("SELECT * FROM pg_authid")),
        check("writes", &query("DELETE FROM jobs")),
        check("several", &query("SELECT 1; SELECT 2")),
    ]);
    for name in ["met", "flag", "none"] {
        app.wait_for(name, "healthy");
    }
    for (name, status, reason, error) in [
        ("broken", "unhealthy", "assertion", "query: it failed with SQLSTATE 22012"),
        (
            "unknown",
            "error",
            "config",
            "query: it is not valid SQL in this database (SQLSTATE 42P01)",
        ),
        ("denied", "error", "auth", "query: the user may not read what it names"),
        ("writes", "error", "config", "query: it writes, and only reading is allowed"),
        ("several", "error", "config", "query: expected exactly one statement"),
    ] {
        let view = wait_for(&app, name, (status, reason, error));
        // What was learned before is still there.
        assert_eq!(view["details"]["role"], "primary");
    }
    database.execute("UPDATE jobs SET stuck = 17");
    wait_for(&app, "met", ("unhealthy", "assertion", "query: 17 is not below 3"));
}

#[test]
fn a_statement_that_waits_for_a_lock_leaves_the_server_with_the_run() {
    let Some(server) = Postgres::shared() else { return };
    let database = monitored(server);
    database.execute("CREATE TABLE ledger ()");
    let holder = Session::open(&database.url());
    holder.run("BEGIN; LOCK TABLE ledger");
    let query = "query: SELECT count(*) FROM ledger";
    let app = start(&[check("db", &format!("{}, {query}", url(&database.url())))]);
    let error = "query: another transaction holds a lock that is needed";
    let view = wait_for(&app, "db", ("error", "timeout", error));
    assert_eq!(view["details"]["role"], "primary");
    let scrape = app.scrape();
    assert_eq!(scrape.value("health_postgres_in_recovery", &[("check", "db")]), Some(0.0));
    holder.run("COMMIT");
    app.wait_for("db", "healthy");
    // One connection at most was needed for all of that, and nothing of it still waits.
    let observer = Session::open(&server.superuser_url());
    let left = format!(
        "SELECT count(*) || ' ' || count(*) FILTER (WHERE wait_event_type = 'Lock') \
         FROM pg_stat_activity WHERE datname = '{}' AND application_name = 'health-exporter'",
        database.name
    );
    assert_eq!(observer.ask(&left), "1 0");
}

#[test]
fn metrics_made_of_sql_have_labels_and_limits_of_their_own() {
    let Some(server) = Postgres::shared() else { return };
    let database = server.create_database();
    database.execute(
        "CREATE TABLE orders (region text, open numeric);
         INSERT INTO orders VALUES ('north \"1\"', 2.5), (NULL, 1), ('south', NULL)",
    );
    let config = format!(
        "checks:
  - name: db
    interval: 1s
    timeout: 1s
    failure_threshold: 1
    postgres:
      url: {}
      metrics:
        - name: orders_open
          help: Orders that wait to be sent.
          query: SELECT region, open FROM orders
          labels: [region]
          above: {{warning: 10, critical: 20}}
        - {{name: health_custom_missing, help: Never there., query: SELECT v FROM no_such_table}}
        - {{name: rows, help: Too many., query: 'SELECT generate_series(1, 5)', max_rows: 3}}
        - {{name: flag, help: After those that fail., query: SELECT true}}
",
        database.url()
    );
    let app = TestApp::start(&config);
    let error = "health_custom_missing: it is not valid SQL in this database (SQLSTATE 42P01)";
    wait_for(&app, "db", ("degraded", "config", error));
    let scrape = app.scrape();
    let open =
        |region| scrape.value("health_custom_orders_open", &[("check", "db"), ("region", region)]);
    assert_eq!((open("north \\\"1\\\""), open(""), open("south")), (Some(2.5), Some(1.0), None));
    let critical = [("check", "db"), ("level", "critical")];
    assert_eq!(scrape.value("health_custom_orders_open_threshold", &critical), Some(20.0));
    assert_eq!(scrape.value("health_custom_flag", &[("check", "db")]), Some(1.0));
    assert_eq!(scrape.value("health_custom_rows", &[("check", "db")]), None);
    assert!(app.get("/metrics").body.contains("# TYPE health_custom_orders_open gauge\n"));

    database.execute("UPDATE orders SET open = 11 WHERE region = 'south'");
    app.wait_until("db", "at its warning", |view| view["reason"] == "threshold");
    database.execute("UPDATE orders SET open = 20 WHERE region = 'south'");
    let error = "health_custom_orders_open 20 at or above critical 20";
    wait_for(&app, "db", ("unhealthy", "threshold", error));
}

#[test]
fn a_metric_that_cannot_be_read_degrades_the_check_and_says_why() {
    let Some(server) = Postgres::shared() else { return };
    let url = url(&server.create_database().url());
    let cases = [
        (
            "rows",
            "query: 'SELECT generate_series(1, 9)', max_rows: 8",
            "it returns more than 8 rows",
        ),
        ("same", "query: 'VALUES (1), (1)', value: column1", "two rows have the same labels"),
        ("name", "query: SELECT 1 AS v, labels: [region]", "it returns no column `region`"),
        (
            "many",
            "query: 'SELECT 1, 2'",
            "expected one column beside the labels, or the key `value`",
        ),
        ("text", "query: SELECT version()", "the value is not a finite number"),
        ("two", "query: SELECT 1; SELECT 2", "expected exactly one statement"),
    ];
    let checks = cases.map(|(name, keys, _)| {
        check(name, &format!("{url}, metrics: [{{name: {name}, help: Bad., {keys}}}]"))
    });
    let app = start(&checks);
    for (name, _, error) in cases {
        let family = format!("health_custom_{name}");
        wait_for(&app, name, ("degraded", "config", &format!("{family}: {error}")));
        assert_eq!(app.scrape().value(&family, &[("check", name)]), None);
    }
}

#[test]
fn a_connection_that_was_cut_is_replaced_within_the_next_run() {
    let Some(server) = Postgres::shared() else { return };
    let database = server.create_database();
    let app = start(&[check("db", &url(&database.url()))]);
    app.wait_for("db", "healthy");
    server.execute(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
        database.name
    ));
    app.wait_for_runs("db", 2);
    app.wait_for("db", "healthy");
    let lost = [("check", "db"), ("reason", "connect")];
    assert_eq!(app.scrape().value("health_check_failures_total", &lost), Some(0.0));
    let noise: Vec<_> = app.log().into_iter().filter(|line| line["level"] == "WARN").collect();
    assert!(noise.is_empty(), "{noise:?}");
}

#[test]
fn through_pgbouncer_no_trace_is_left_in_the_session() {
    let Some(server) = Postgres::shared() else { return };
    let database = monitored(server);
    let Some(pooler) = Pgbouncer::in_front_of(&database, "transaction") else { return };
    let section = format!(
        "{}, query: SELECT 7, expect: {{equals: 7}}, \
         metrics: [{{name: bad, help: Bad., query: SELECT v FROM no_such_table}}]",
        url(pooler.url())
    );
    let app = start(&[
        check("db", &section),
        check("auth", &url(&pooler.url().replace(&database.password, "wrong"))),
        check("config", &url(&pooler.url().replace(&database.name, "no_such"))),
    ]);
    app.wait_for("db", "degraded");
    app.wait_for_runs("db", 2);
    let session = Session::open(pooler.url());
    assert_eq!(session.ask("SELECT current_setting('statement_timeout')"), "0");
    assert_eq!(session.ask("SELECT current_setting('lock_timeout')"), "0");
    assert_eq!(session.ask("SELECT current_setting('transaction_read_only')"), "off");
    assert_eq!(session.ask("SELECT count(*)::text FROM pg_prepared_statements"), "1");
    wait_for(&app, "auth", ("error", "auth", "the pooler refused the password"));
    wait_for(&app, "config", ("error", "config", "the pooler does not know the database"));
}

#[test]
fn what_a_user_may_not_see_costs_details_and_not_the_check() {
    let Some(server) = Postgres::shared() else { return };
    let (plain, denied) = (server.create_database(), monitored(server));
    let admin = server.superuser_url();
    let admin = format!("{}/{}", admin.rsplit_once('/').unwrap().0, denied.name);
    Session::open(&admin).run("REVOKE SELECT ON pg_locks FROM PUBLIC");
    let other = Session::open(&denied.url());
    other.run("BEGIN");
    let app = start(&[check("plain", &url(&plain.url())), check("denied", &url(&denied.url()))]);
    let view = app.wait_for("plain", "healthy");
    assert_eq!(view["details"]["limited"], true);
    assert_eq!(view["details"]["unreadable"], "activity, replication");
    let scrape = app.scrape();
    let family = "health_postgres_longest_transaction_seconds";
    assert_eq!(scrape.value(family, &[("check", "plain")]), None);
    let unseen = [("check", "plain"), ("state", "other")];
    assert!(scrape.value("health_postgres_connections", &unseen).unwrap() >= 1.0);

    let view = app.wait_for("denied", "healthy");
    assert_eq!(view["details"]["limited"], true);
    assert_eq!(view["details"]["unreadable"], "locks");
    let scrape = app.scrape();
    assert_eq!(scrape.value("health_postgres_locks_waiting", &[("check", "denied")]), None);
    assert!(scrape.value(family, &[("check", "denied")]).is_some());
}

#[test]
fn a_replica_is_judged_by_its_lag_and_its_role() {
    let Some(primary) = Postgres::dedicated() else { return };
    let database = monitored(&primary);
    let Some(replica) = primary.replica() else { return };
    let at_replica = url(&Database { port: replica.port(), ..database.clone() }.url());
    let app = start(&[
        check("late", &format!("{at_replica}, role: replica, replication_lag: {{warning: 300ms}}")),
        check("replica", &format!("{at_replica}, replication_lag: {{critical: 300ms}}")),
        check("wrong", &format!("{at_replica}, role: primary")),
        check("arrived", &format!("{at_replica}, query: SELECT FROM early")),
        check(
            "primary",
            &format!("{}, role: primary, replication_lag: {{critical: 1ms}}", url(&database.url())),
        ),
    ]);
    let error = "expected a primary, found a replica";
    wait_for(&app, "wrong", ("unhealthy", "assertion", error));
    // Nothing is written, so there is no lag however old the last transaction is.
    let view = app.wait_for("replica", "healthy");
    assert_eq!(view["details"]["role"], "replica");
    assert_eq!(view["details"]["receives"], true);
    assert_eq!(view["details"]["replication_lag_seconds"], 0);
    app.wait_for("primary", "healthy");

    // The age of the last transaction is known once there has been one.
    database.execute("CREATE TABLE early ()");
    app.wait_for("arrived", "healthy");
    replica.execute("SELECT pg_wal_replay_pause()");
    database.execute("CREATE TABLE late ()");
    app.wait_for("late", "degraded");
    let view = app.wait_for("replica", "unhealthy");
    assert_eq!(view["reason"], "threshold");
    let scrape = app.scrape();
    let own = [("check", "replica"), ("replica", "self")];
    assert!(scrape.value("health_postgres_replication_lag_seconds", &own).unwrap() >= 0.3);
    app.wait_for_runs("primary", 2);
    let scrape = app.scrape();
    let behind = scrape.sum("health_postgres_replication_lag_bytes", &[("check", "primary")]);
    assert!(behind > 0.0, "{behind}");
    // It is the replica that is out of service, not the primary.
    assert_eq!(app.check("primary")["status"], "healthy");
    replica.execute("SELECT pg_wal_replay_resume()");
    app.wait_for("replica", "healthy");

    primary.stop();
    app.wait_until("replica", "cut off", |view| view["details"]["receives"] == false);
}

#[test]
fn a_certificate_is_verified_and_a_renewed_authority_is_seen() {
    let Some(server) = Postgres::dedicated() else { return };
    let database = monitored(&server);
    let authority = Authority::new();
    let files = authority.issue(&["db.internal"], -1, 30).write(server.socket_dir());
    let owner = fs::metadata(server.socket_dir()).unwrap();
    for (setting, file) in [("ssl_cert_file", files.0), ("ssl_key_file", files.1)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        server.execute(&format!("ALTER SYSTEM SET {setting} = '{}'", file.display()));
    }
    server.execute("ALTER SYSTEM SET ssl = on");
    server.execute("SELECT pg_reload_conf()");

    let folder = tempfile::tempdir().unwrap();
    Authority::new().write(folder.path());
    let url = url(&database.url());
    let config = format!(
        "checks:\n{}{}{}",
        check("verified", &format!("{url}, tls: {{ca_file: ca.pem, server_name: db.internal}}")),
        check("misnamed", &format!("{url}, tls: {{ca_file: ca.pem}}")),
        check("insecure", &format!("{url}, sslmode: require, tls: {{insecure: true}}")),
    );
    fs::write(folder.path().join("health.yml"), config).unwrap();
    let app = TestApp::start_in(folder, &["--config", "health.yml"]);
    let error = "no authority that we trust signed the certificate, see `tls.ca_file`";
    wait_for(&app, "verified", ("error", "tls", error));
    authority.write(app.folder());
    app.wait_for("verified", "healthy");
    wait_for(&app, "misnamed", ("error", "tls", "the certificate is for another name"));
    app.wait_for("insecure", "healthy");
    let tls = [("check", "misnamed"), ("phase", "tls")];
    assert!(app.scrape().value("health_check_phase_duration_seconds", &tls).is_some());
}

#[test]
fn a_wrong_section_stops_the_program_with_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("health.yml");
    fs::write(
        &config,
        "checks:
  - name: db
    postgres:
      url: postgres://u:p@ss@db/orders
      rol: primary
  - name: other
    postgres:
      host: db:5432
      user: u
      expect: {equals: 1}
",
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_health-exporter"))
        .arg("check-config")
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    for problem in [
        "health.yml:5:7: check `db`: postgres.rol: unknown key, did you mean `role`?",
        "health.yml:8:13: check `other`: postgres.host: expected the name or address of a host, without a port",
        "health.yml:8:7: check `other`: postgres.database: expected a database, found none",
        "health.yml:10:15: check `other`: postgres.expect: needs `query` too",
    ] {
        assert!(told.contains(problem), "{problem}\n{told}");
    }
    assert!(!told.contains("ss@db"), "{told}");
}
