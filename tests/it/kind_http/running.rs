//! Checks in the running program: what is published, and what happens when targets come and go.

use super::{
    tls::{Trust, unix},
    *,
};
use crate::app::TestApp;

/// A configuration of one check that runs often and believes the first bad run.
fn config(section: &str) -> String {
    format!(
        "defaults: {{interval: 500ms, timeout: 500ms, failure_threshold: 1}}\n\
         checks:\n  - name: api\n    http:\n{}",
        section.lines().fold(String::new(), |text, line| format!("{text}      {line}\n"))
    )
}

fn value(app: &TestApp, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    app.scrape().value(name, &[labels, &[("check", "api"), ("kind", "http")]].concat())
}

fn phase(app: &TestApp, phase: &str) -> Option<f64> {
    value(app, "health_check_phase_duration_seconds", &[("phase", phase)])
}

#[test]
fn what_a_run_finds_is_published_and_nothing_secret_is() {
    let server = Server::http(|_| Answer::ok(r#"{"status":"ok"}"#));
    let section = format!(
        "url: {}?token=s3cret-1\nbasic_auth: {{username: s3cret-2, password: s3cret-3}}\n\
         headers: {{x-key: s3cret-4}}\njson: [{{path: $.status, equals: ok}}]",
        server.url("/health")
    );
    let app = TestApp::start(&config(&section));
    let view = app.wait_for("api", "healthy");
    assert_eq!(view["kind"], "http");
    assert_eq!(view["target"], server.url("/health"));
    assert_eq!(view["details"]["status_code"], 200);
    assert_eq!(view["details"]["response_size_bytes"], 15);
    assert_eq!(value(&app, STATUS, &[]), Some(200.0));
    assert_eq!(value(&app, SIZE, &[]), Some(15.0));
    assert_eq!(value(&app, REDIRECTS, &[]), Some(0.0));
    for reached in ["connect", "processing", "transfer"] {
        assert!(phase(&app, reached).is_some(), "{reached}");
    }
    assert_eq!(phase(&app, "resolve"), None);
    assert_eq!(phase(&app, "tls"), None);
    for published in [app.get("/metrics"), app.get("/health?verbose"), app.get("/")] {
        assert!(!published.body.contains("s3cret"), "{}", published.body);
    }
}

#[test]
fn a_target_that_goes_and_comes_back_is_two_transitions() {
    // No other test listens here, so nobody takes the port in between.
    let server = Server::http_at(([127, 0, 0, 21], 0).into(), |_| Answer::ok("fine"));
    let address = server.address();
    let app = TestApp::start(&config(&format!("url: http://{address}/")));
    app.wait_for("api", "healthy");

    drop(server);
    let view = app.wait_for("api", "error");
    assert_eq!(view["reason"], "connect");
    assert_eq!(view["error"], "the connection was refused");
    assert_eq!(value(&app, "health_check_up", &[]), Some(0.0));
    assert_eq!(value(&app, STATUS, &[]), None);

    let _server = Server::http_at(address, |_| Answer::ok("fine"));
    app.wait_for("api", "healthy");
    assert_eq!(value(&app, "health_check_up", &[]), Some(1.0));
    let changes = app.transitions("api");
    assert_eq!(changes, ["healthy -> error (connect)", "error -> healthy ()"]);
}

#[test]
fn a_refused_login_is_unhealthy_auth() {
    let server = Server::http(|_| Answer::new(401, "", ""));
    let section =
        format!("url: {}\nbasic_auth: {{username: me, password: wrong}}", server.url("/"));
    let app = TestApp::start(&config(&section));
    let view = app.wait_for("api", "unhealthy");
    assert_eq!(view["reason"], "auth");
    assert_eq!(value(&app, "health_check_reason", &[("reason", "auth")]), Some(1.0));
    assert_eq!(value(&app, STATUS, &[]), Some(401.0));
}

#[test]
fn a_silent_target_is_a_timeout_that_names_its_phase() {
    let server = Server::silent();
    let app = TestApp::start(&config(&format!("url: {}", server.url("/"))));
    let view = app.wait_for("api", "error");
    assert_eq!(view["reason"], "timeout");
    assert!(view["error"].as_str().unwrap().contains("phase: processing"), "{view}");
    assert!(phase(&app, "connect").is_some());
    assert!(phase(&app, "processing").unwrap() >= 0.1);
    assert_eq!(phase(&app, "transfer"), None);
}

#[test]
fn a_certificate_is_followed_to_its_end_and_its_date_outlives_the_target() {
    let trust = Trust::new();
    let serve = |address, days| {
        let identity = trust.authority.issue(&["api.test"], -9, days);
        Server::https_at(address, identity.server(), |_| Answer::ok("fine"))
    };
    let server = serve(([127, 0, 0, 22], 0).into(), 90);
    let address = server.address();
    let section = format!(
        "url: https://api.test:{}/\nresolve_to: {}\ntls: {{ca_file: {}}}",
        address.port(),
        address.ip(),
        trust.folder.path().join("ca.pem").display()
    );
    let app = TestApp::start(&config(&section));
    let expiry = |app: &TestApp| value(app, EXPIRY, &[("position", "leaf")]);
    let ends_in = |days| Some(unix(days_from_now(days)));

    app.wait_for("api", "healthy");
    assert!(close(expiry(&app), ends_in(90)));
    assert_eq!(value(&app, VERIFIED, &[]), Some(1.0));
    assert_eq!(value(&app, THRESHOLD, &[("level", "warning")]), Some(14.0 * 86_400.0));
    assert!(phase(&app, "tls").is_some());

    drop(server);
    let server = serve(address, 10);
    let view = app.wait_for("api", "degraded");
    assert_eq!(view["reason"], "threshold");
    assert_eq!(value(&app, "health_check_up", &[]), Some(1.0));

    drop(server);
    let server = serve(address, 2);
    let view = app.wait_for("api", "unhealthy");
    assert_eq!(view["error"], "a certificate expires in 1d23h, below critical 3d");

    drop(server);
    let server = serve(address, -1);
    let view = app.wait_until("api", "expired", |view| view["reason"] == "tls");
    assert_eq!(view["error"], "the certificate of api.test has expired");
    assert!(close(expiry(&app), ends_in(-1)));
    assert_eq!(value(&app, VERIFIED, &[]), Some(0.0));

    drop(server);
    app.wait_until("api", "gone", |view| view["reason"] == "connect");
    assert!(close(expiry(&app), ends_in(-1)));
    assert_eq!(value(&app, VERIFIED, &[]), None);
}

/// Equal but for the time that a test takes.
fn close(found: Option<f64>, expected: Option<f64>) -> bool {
    found.zip(expected).is_some_and(|(found, expected)| (found - expected).abs() < 120.0)
}
