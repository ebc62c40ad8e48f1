//! Answers that arrive, and how they are judged.

use super::*;

#[tokio::test]
async fn a_good_answer_is_healthy_with_readings_and_phases() {
    let server = Server::http(|_| Answer::ok("fine"));
    let outcome = asked(&server, "").await;
    assert_eq!(outcome.summary(), "healthy");
    assert_eq!(outcome.reading(STATUS, &[]), Some(200.0));
    assert_eq!(outcome.reading(SIZE, &[]), Some(4.0));
    assert_eq!(outcome.reading(REDIRECTS, &[]), Some(0.0));
    assert_eq!(outcome.reading(VERIFIED, &[]), None);
    assert_eq!(outcome.detail("status_code"), Some(&Scalar::Number(200.0)));
    assert_eq!(outcome.phases(), ["connect", "processing", "transfer"]);
    server.all_closed().await;
}

#[tokio::test]
async fn time_is_booked_to_the_phase_that_took_it() {
    let delay = Duration::from_millis(150);
    let server = Server::http(move |_| Answer::ok("fine").after(delay));
    let outcome = asked(&server, "").await;
    let took = |wanted| {
        let mut phases = outcome.recording.phases.iter();
        phases.find(|(phase, _)| *phase == wanted).unwrap().1
    };
    assert!(took(Phase::Processing) >= delay, "{outcome:?}");
    let sum = took(Phase::Connect) + took(Phase::Processing) + took(Phase::Transfer);
    assert!(sum <= outcome.duration, "{outcome:?}");
}

#[tokio::test]
async fn each_run_opens_a_connection_of_its_own() {
    let server = Server::http(|_| Answer::ok("fine").then_hang());
    let check = build("http", &format!("url: {}", server.url("/"))).unwrap();
    for _ in 0..3 {
        assert_eq!(probe(check.as_ref(), PATIENCE).await.summary(), "healthy");
        server.all_closed().await;
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn the_request_is_what_was_configured() {
    let server = Server::http(|_| Answer::ok(""));
    let keys = "method: POST\nheaders: {X-Key: k1, Content-Type: text/plain}\nbody: ping\n";
    assert_eq!(asked(&server, keys).await.summary(), "healthy");
    let request: Request = server.requests().remove(0);
    assert_eq!(request.line, "POST /health HTTP/1.1");
    assert_eq!(request.body, "ping");
    assert_eq!(request.header("x-key"), Some("k1"));
    assert_eq!(request.header("host"), Some(server.address().to_string().as_str()));
    let agent = concat!("health-exporter/", env!("CARGO_PKG_VERSION"));
    assert_eq!(request.header("user-agent"), Some(agent));
}

#[tokio::test]
async fn another_status_is_unhealthy() {
    let server = Server::http(|_| Answer::new(500, "", "stack trace"));
    let outcome = asked(&server, "").await;
    assert_eq!(outcome.summary(), "unhealthy/status: status 500, expected 200-299");
    assert_eq!(outcome.reading(STATUS, &[]), Some(500.0));
    assert_eq!(outcome.reading(SIZE, &[]), None);
    assert_eq!(outcome.phases(), ["connect", "processing"]);
    let outcome = asked(&server, "status: [200-204, 404]").await;
    assert_eq!(outcome.summary(), "unhealthy/status: status 500, expected 200-204, 404");
    assert_eq!(asked(&server, "status: 500").await.summary(), "healthy");
}

#[tokio::test]
async fn a_refusal_is_unhealthy_auth() {
    let server = Server::http(|_| Answer::new(401, "", ""));
    assert_eq!(
        asked(&server, "").await.summary(),
        "unhealthy/auth: status 401: credentials are missing or refused"
    );
    let server = Server::http(|_| Answer::new(403, "", ""));
    assert_eq!(
        asked(&server, "").await.summary(),
        "unhealthy/auth: status 403: access is forbidden"
    );
    assert_eq!(asked(&server, "status: [401, 403]").await.summary(), "healthy");
}

#[tokio::test]
async fn every_assertion_that_fails_is_named_and_the_body_is_not_quoted() {
    let server = Server::http(|_| {
        Answer::new(200, "x-cache: MISS\r\n", r#"{"status":"secret-word","depth":12}"#)
    });
    let keys = r"
body_regex: [status, missing]
body_not_regex: depth
header_regex: {X-Cache: HIT, x-none: .}
json:
  - {path: $.status, equals: ok}
  - {path: $.depth, below: 10}
  - {path: $.none, exists: true}
";
    assert_eq!(
        asked(&server, keys).await.summary(),
        "unhealthy/assertion: the header `x-cache` does not match `HIT`; there is no header \
         `x-none`; the body does not match `missing`; the body matches `depth`; json \
         `$.status` is not `ok`; json `$.depth` is 12, not below 10; json `$.none` selects \
         nothing"
    );
    let keys = r#"
body_regex: '"depth":\d+'
header_regex: {x-cache: ^MISS$}
json: [{path: $.depth, above: 11, below: 13}]
"#;
    assert_eq!(asked(&server, keys).await.summary(), "healthy");
}

#[tokio::test]
async fn a_body_that_is_not_json_fails_its_assertion() {
    let server = Server::http(|_| Answer::ok("<html>"));
    assert_eq!(
        asked(&server, "json: [{path: $, exists: true}]").await.summary(),
        "unhealthy/assertion: the body is not JSON"
    );
}

#[tokio::test]
async fn a_large_body_is_judged_too() {
    let body = format!("{{\"filler\":\"{}\",\"status\":\"ok\"}}", "x".repeat(200_000));
    let server = Server::http(move |_| Answer::ok(&body));
    let keys = "json: [{path: $.status, equals: ok}]";
    assert_eq!(asked(&server, keys).await.summary(), "healthy");
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let server = Server::http(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 99\r\ncontent-encoding: gzip\r\n\r\n")
            .then_hang()
    });
    let outcome = asked(&server, "method: HEAD").await;
    assert_eq!(outcome.summary(), "healthy");
    assert_eq!(outcome.reading(SIZE, &[]), Some(0.0));
}
