//! What a configuration must and must not say.

use std::{fs, sync::Arc};

use super::KIND;
use crate::{
    check::{Check, Params, Shared},
    lag::LagMeter,
    node,
    wire::Wire,
};

fn build(text: &str) -> Result<Box<dyn Check>, Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let shared = Shared {
        wire: Arc::new(Wire::default()),
        runtime: runtime.handle().clone(),
        lag: Arc::new(LagMeter::default()),
    };
    let tree = node::parse(text, "f.yml").unwrap();
    let build = KIND.configuration.unwrap().build;
    build(Params::new(&tree, "postgres"), &shared)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn problems(text: &str) -> Vec<String> {
    match build(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    }
}

#[test]
fn the_target_shows_neither_user_nor_password() {
    for (text, host, display) in [
        (
            "url: postgres://u:p@db.internal/orders",
            "db.internal:5432",
            "postgres://db.internal:5432/orders",
        ),
        (
            "url: postgresql://u@10.0.0.1:6432/orders?sslmode=require",
            "10.0.0.1:6432",
            "postgres://10.0.0.1:6432/orders",
        ),
        ("url: 'postgres://u@[::1]/orders'", "[::1]:5432", "postgres://[::1]:5432/orders"),
        (
            "{host: db, port: 6432, user: u, database: orders}",
            "db:6432",
            "postgres://db:6432/orders",
        ),
        ("{host: '::1', user: u, database: orders}", "[::1]:5432", "postgres://[::1]:5432/orders"),
    ] {
        let check = build(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        let target = check.target().unwrap();
        assert_eq!((target.host.as_str(), target.display.as_str()), (host, display), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_named_by_its_folder() {
    for text in [
        "{host: /run/pg, port: 6432, user: u, database: orders}",
        "url: postgres://u@/orders?host=/run/pg&port=6432",
        "url: postgres://u@%2Frun%2Fpg:6432/orders",
    ] {
        let check = build(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        let display = &check.target().unwrap().display;
        assert_eq!(display, "unix:/run/pg/.s.PGSQL.6432/orders", "{text}");
    }
}

#[test]
fn every_problem_is_named_with_its_place() {
    let text = "\
url: postgres://exporter@db/orders?sslmode=verify-ca
user: other
password: a
password_file: /nowhere
connections_ratio: {warning: 90%, critical: 80%}
expect: {equals: 1}
metrics:
  - {name: Orders, help: Open orders., query: SELECT 1}
  - {name: open, help: '', query: SELECT 1, above: {warning: 2, critical: 1}}
";
    assert_eq!(
        problems(text),
        [
            "f.yml:5:20: postgres.connections_ratio: expected a warning that is not above critical",
            "f.yml:2:7: postgres.user: expected it in `url`, not here",
            "f.yml:1:6: postgres.url: expected `sslmode` to be one of disable, prefer, require, verify-full",
            "f.yml:4:16: postgres.password_file: expected only one of `password` and `password_file`",
            "f.yml:6:9: postgres.expect: needs `query` too",
            "f.yml:8:12: postgres.metrics[0].name: expected 1 to 100 of a-z, 0-9 and `_`",
            "f.yml:9:24: postgres.metrics[1].help: expected a sentence",
            "f.yml:9:52: postgres.metrics[1].above: expected a warning that is not above critical",
        ]
    );
}

#[test]
fn an_address_that_can_be_misread_is_refused() {
    const URL: &str = "postgres.url: expected a URL such as postgres://user@host:5432/database";
    for (text, message) in [
        ("{}", "postgres: expected `url`, or `host`, `user` and `database`"),
        ("host: db", "postgres.user: expected a user, found none"),
        ("url: host=db user=u dbname=d", URL),
        ("url: mysql://u@db/d", URL),
        ("url: postgres://u@db:port/d", URL),
        ("url: postgres://db/d", "postgres.url: expected a user, found none"),
        ("url: postgres://u@db", "postgres.url: expected a database, found none"),
        ("url: postgres://u@/d", "postgres.url: expected a host, found none"),
        (
            "url: postgres://u@a,b/d",
            "postgres.url: expected one host, found several; make a check of each",
        ),
        ("url: postgres://u@db:0/d", "postgres.url: expected a port from 1 to 65535, found `0`"),
        (
            "url: postgres://u@db/d?options=-csearch_path=x",
            "postgres.url: expected only `sslmode`, `application_name`, `host` and `port` after the `?`",
        ),
        (
            "{url: 'postgres://u:a@db/d', password: b}",
            "postgres.url: expected no password in it beside `password` or `password_file`",
        ),
        (
            "{url: 'postgres://u@db/d?sslmode=require', sslmode: prefer}",
            "postgres.sslmode: expected it in `url` or here, not in both",
        ),
        (
            "{url: 'postgres://u@db/d', sslmode: disable, tls: {insecure: true}}",
            "postgres.tls: expected none when `sslmode` is `disable`",
        ),
        (
            "{url: 'postgres://u@db/d', tls: {cert_file: c.pem}}",
            "postgres.tls.cert_file: needs `key_file` too",
        ),
        (
            "{url: 'postgres://u@db/d', sslmode: allow}",
            "postgres.sslmode: expected one of `disable`, `prefer`, `require`, `verify-full`, found `allow`",
        ),
    ] {
        let found = problems(text);
        let found: Vec<_> = found
            .iter()
            .filter_map(|problem| problem.splitn(4, ':').nth(3))
            .map(str::trim)
            .collect();
        assert!(found.contains(&message), "{text}: {found:?}");
    }
}

#[test]
fn a_password_that_breaks_the_url_is_not_repeated() {
    let found = problems("url: postgres://u:hun@ter2@db/d").concat();
    assert!(found.contains("%40") && !found.contains("ter2"), "{found}");
}

#[test]
fn a_password_file_is_looked_at_when_the_check_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let text = format!("{{url: 'postgres://u@db/d', password_file: {}}}", file.display());
    assert!(problems(&text).concat().contains("cannot be read"));
    fs::write(&file, "secret\n").unwrap();
    assert_eq!(problems(&text), [""; 0]);
}

#[test]
fn a_custom_metric_is_refused_when_it_would_spoil_the_exposition() {
    for (keys, message) in [
        (
            "name: a_total, help: A, query: q",
            "expected no `_total` at the end, which marks counters",
        ),
        ("name: a, help: A, query: ' '", "expected a statement"),
        (
            "name: a, help: A, query: q, labels: [a-b]",
            "expected names of a-z, A-Z, 0-9 and `_` that begin with a letter",
        ),
        (
            "name: a, help: A, query: q, labels: [check]",
            "expected none of check, kind, group, job, instance, level, which the exporter or Prometheus sets",
        ),
        (
            "name: a, help: A, query: q, labels: [x, x]",
            "expected every column once, and not the one of `value`",
        ),
        (
            "name: a, help: A, query: q, labels: [x], value: x",
            "expected every column once, and not the one of `value`",
        ),
        ("name: a, help: A, query: q, above: {warning: NaN}", "expected finite numbers"),
        (
            "name: a, help: A, query: q, below: {warning: 1, critical: 2}",
            "expected a warning that is not below critical",
        ),
        (
            "name: a, help: A, query: q, above: {}, below: {}",
            "expected not both `above` and `below`",
        ),
        ("name: a, help: A, query: q, max_rows: 0", "expected 1 to 10000 rows"),
        (
            "name: a, help: A, query: q}, {name: health_custom_a, help: B, query: q",
            "expected another name, `health_custom_a` is taken",
        ),
        (
            "name: a_threshold, help: A, query: q}, {name: a, help: B, query: q, above: {warning: 1}",
            "expected another name, `health_custom_a_threshold` is taken",
        ),
    ] {
        let found = problems(&format!("{{url: 'postgres://u@db/d', metrics: [{{{keys}}}]}}"));
        assert!(found.len() == 1 && found[0].ends_with(message), "{keys}: {found:?}");
    }
}

#[test]
fn custom_metrics_and_their_limits_are_declared() {
    let check = build(
        "{url: 'postgres://u@db/d', metrics: [{name: open, help: Open., query: q, labels: [region], \
         above: {warning: 5}}]}",
    );
    let names: Vec<_> =
        check.unwrap().readings().iter().map(|family| family.name().to_owned()).collect();
    assert_eq!(names, ["health_custom_open", "health_custom_open_threshold"]);
}
