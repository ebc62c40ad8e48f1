use serde_json::Value;

use crate::app::{Response, TestApp};

/// A healthy check, one that is degraded by a limit it always passes, and one that always fails.
const MIXED: &str = "
service: {name: orders, version: 1.4.2, instance: orders-7c9f}
defaults: {interval: 200ms, failure_threshold: 1}
checks:
  - {name: fine, group: inside, tags: [own], runtime: {}}
  - {name: busy, group: inside, importance: important, runtime: {tasks: {warning: 0}}}
  - name: down
    importance: critical
    runbook_url: https://runbooks.example/down
    http: {url: 'http://127.0.0.1:1/health?token=secret'}
";

const FINE: &str = "checks: [{name: fine, interval: 200ms, tags: [own], runtime: {}}]";

fn mixed() -> TestApp {
    let app = TestApp::start(MIXED);
    app.wait_for_first_round();
    app.wait_for("fine", "healthy");
    app.wait_for("busy", "degraded");
    app.wait_for("down", "error");
    app
}

fn assert_common_headers(response: &Response) {
    assert_eq!(response.header("cache-control"), "no-store");
    assert_eq!(response.header("x-content-type-options"), "nosniff");
}

#[test]
fn a_bad_critical_check_makes_the_whole_unhealthy_and_its_group_only() {
    let app = mixed();
    let health = app.get("/health");
    assert_eq!(health.status, 503);
    assert_eq!(health.header("retry-after"), "1");
    assert_eq!(health.header("vary"), "Accept");
    assert_common_headers(&health);
    let document = health.json();
    assert_eq!(document["status"], "unhealthy");
    assert_eq!(document["service"]["instance"], "orders-7c9f");
    assert_eq!(document["summary"]["total"], 3);
    let names = |problem: &Value| problem["check"].as_str().unwrap().to_owned();
    let problems: Vec<_> = document["problems"].as_array().unwrap().iter().map(names).collect();
    assert_eq!(problems, ["down", "busy"], "worst first");
    assert_eq!(document["problems"][0]["runbook_url"], "https://runbooks.example/down");

    let group = app.get("/health/groups/inside");
    assert_eq!((group.status, &group.json()["status"]), (200, &"degraded".into()));
    let tag = app.get("/health/tags/own");
    assert_eq!((tag.status, &tag.json()["status"]), (200, &"healthy".into()));
    assert_eq!(app.get("/health/checks/down").status, 503);
    assert_eq!(app.get("/health/checks/busy").status, 200);
    for path in ["/health/checks/x", "/health/groups/x", "/health/tags/x"] {
        assert_eq!(app.get(path).status, 404, "{path}");
    }
}

#[test]
fn every_health_document_matches_the_schema_that_is_shipped() {
    let schema = include_str!("../../docs/health.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let app = mixed();
    for path in ["/health", "/health/groups/inside", "/health/tags/own", "/health?include=fine"] {
        let document = app.get(path).json();
        let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?}\n{document:#}");
    }
}

#[test]
fn checks_can_be_left_out_or_picked_by_query() {
    let app = mixed();
    let health = app.get("/health?exclude=down&exclude=nobody&whatever=1");
    assert_eq!((health.status, &health.json()["status"]), (200, &"degraded".into()));
    let health = app.get("/health?include=fine&include=down");
    assert_eq!(health.status, 503);
    assert_eq!(health.json()["summary"]["total"], 2);
    assert_eq!(app.get("/health?include=fien").status, 404, "a typo is not healthy");
    assert!(app.get("/health?pretty").body.starts_with("{\n  \"status\""));
    assert_eq!(app.get("/health?%zz=%").status, 503, "what is no query is no error");
}

#[test]
fn health_is_also_had_as_health_json_and_as_text() {
    let app = mixed();
    let health = app.request("GET", "/health", &[("accept", "application/health+json")]);
    assert_eq!(health.header("content-type"), "application/health+json");
    let document = health.json();
    assert_eq!(document["status"], "fail");
    assert_eq!(document["checks"]["busy:status"][0]["status"], "warn");
    assert_eq!(document["checks"]["fine:status"][0]["status"], "pass");
    let text = app.request("GET", "/health", &[("accept", "text/plain")]);
    assert_eq!(
        text.body,
        "[~]busy degraded: threshold\n[-]down error: connect\n[+]fine ok\nhealth check failed\n"
    );
    assert_eq!(text.status, 503);
}

#[test]
fn probes_are_short_and_know_nothing_of_dependencies() {
    let app = mixed();
    for (path, status) in [
        ("/health/live", "alive"),
        ("/-/healthy", "alive"),
        ("/health/ready", "ready"),
        ("/-/ready", "ready"),
        ("/health/startup", "started"),
    ] {
        let answer = app.get(path);
        assert_eq!((answer.status, &answer.json()["status"]), (200, &status.into()), "{path}");
        assert!(answer.body.len() < 1024);
        assert_common_headers(&answer);
    }
}

#[test]
fn readiness_follows_the_policy_that_is_configured() {
    let critical = TestApp::start(&format!("readiness: {{policy: critical}}\n{MIXED}"));
    critical.wait_for_first_round();
    let ready = critical.get("/health/ready");
    assert_eq!((ready.status, &ready.json()["status"]), (503, &"not_ready".into()));
    assert_eq!(ready.json()["blocked_by"], serde_json::json!(["down"]));
    assert_eq!(ready.header("retry-after"), "1");

    let list = "readiness: {policy: list, checks: [fine]}";
    let list = TestApp::start(&format!("{list}\n{MIXED}"));
    list.wait_for_first_round();
    assert_eq!(list.get("/health/ready").status, 200);
}

#[test]
fn head_answers_as_get_without_a_body_and_other_methods_are_refused() {
    let app = TestApp::start(FINE);
    app.wait_for("fine", "healthy");
    for path in ["/", "/metrics", "/health", "/health/live", "/health/ready", "/-/healthy"] {
        let head = app.request("HEAD", path, &[]);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let refused = app.request(method, path, &[]);
            assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"), "{path}");
            assert_common_headers(&refused);
        }
    }
    let missing = app.get("/nothing");
    assert_eq!(missing.status, 404);
    assert_common_headers(&missing);
}

#[test]
fn requests_are_counted_by_endpoint_and_not_by_path() {
    let app = TestApp::start(FINE);
    app.wait_for("fine", "healthy");
    app.get("/health/checks/nobody");
    app.get("/wp-admin/1");
    app.get("/wp-admin/2");
    app.request("BREW", "/health", &[]);
    let scrape = app.scrape();
    let count = |handler, method, code| {
        let labels = [("handler", handler), ("method", method), ("code", code)];
        scrape.value("health_exporter_http_requests_total", &labels)
    };
    assert_eq!(count("/health/checks/{name}", "GET", "404"), Some(1.0));
    assert_eq!(count("other", "GET", "404"), Some(2.0));
    assert_eq!(count("/health", "other", "405"), Some(1.0));
    assert_eq!(scrape.value("health_exporter_http_requests_in_flight", &[]), Some(1.0));
}

#[test]
fn what_everyone_may_see_can_be_limited() {
    let names = TestApp::start(&format!("server: {{show_details: names}}\n{MIXED}"));
    names.wait_for("down", "error");
    let document = names.get("/health").json();
    let down = document["checks"]["down"].as_object().unwrap();
    let keys: Vec<_> = down.keys().map(String::as_str).collect();
    assert_eq!(keys, ["reason", "since", "status"]);
    assert!(document["service"].is_null());
    for hidden in ["127.0.0.1:1/", "orders-7c9f", "runbooks.example"] {
        for path in ["/", "/health"] {
            assert!(!names.get(path).body.contains(hidden), "{path}: {hidden}");
        }
    }

    let none = TestApp::start(&format!("server: {{show_details: none}}\n{MIXED}"));
    none.wait_until("down", "bad", |view| view["status"] == "error");
    let health = none.get("/health");
    assert_eq!(health.status, 503, "the code stays true");
    let document = health.json();
    let keys: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["phase", "status", "timestamp", "uptime"]);
    let check = none.get("/health/checks/down").json();
    assert_eq!(check, serde_json::json!({"status": "error"}));
    for path in ["/", "/health/ready"] {
        assert!(!none.get(path).body.contains("down"), "{path}");
    }
}

#[test]
fn no_query_of_a_target_and_no_secret_is_shown_anywhere() {
    let app = mixed();
    for path in ["/health", "/metrics", "/", "/health/checks/down"] {
        assert!(!app.get(path).body.contains("secret"), "{path}");
    }
}

#[test]
fn the_page_shows_every_check_worst_first() {
    let app = mixed();
    let page = app.get("/");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let position = |name: &str| page.body.find(&format!("/health/checks/{name}")).unwrap();
    assert!(position("down") < position("busy") && position("busy") < position("fine"));
    assert!(page.body.contains("orders is <span class=\"unhealthy\">unhealthy</span>"));
}
