//! Exchanges that never come to an answer.

use super::*;

#[tokio::test]
async fn a_refused_connection_is_error_connect() {
    let port = unused_port();
    let outcome = outcome(&format!("url: http://127.0.0.1:{port}/")).await;
    assert_eq!(outcome.summary(), "error/connect: the connection was refused");
    assert_eq!(outcome.phases(), ["connect"]);
    assert_eq!(outcome.reading(STATUS, &[]), None);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_error_dns() {
    let outcome = outcome("url: http://no-such-host.invalid/").await;
    assert_eq!(outcome.summary(), "error/dns: the name no-such-host.invalid could not be resolved");
    assert_eq!(outcome.phases(), ["resolve"]);
}

#[tokio::test]
async fn a_name_is_resolved_in_a_phase_of_its_own() {
    let server = Server::http(|_| Answer::ok(""));
    let keys = format!("url: http://localhost:{}/\nip_protocol: 4", server.port());
    let outcome = outcome(&keys).await;
    assert_eq!(outcome.summary(), "healthy");
    assert_eq!(outcome.phases(), ["resolve", "connect", "processing", "transfer"]);
}

#[tokio::test]
async fn a_connection_closed_or_reset_before_an_answer_is_error_connect() {
    let server = Server::http(|_| Answer::raw(""));
    assert_eq!(
        asked(&server, "").await.summary(),
        "error/connect: the connection was closed before an answer"
    );
    let server = Server::http(|_| Answer::raw("").then_reset());
    assert_eq!(
        asked(&server, "").await.summary(),
        "error/connect: the connection was reset before an answer"
    );
}

#[tokio::test]
async fn garbage_is_error_protocol() {
    let server = Server::http(|_| Answer::raw("SSH-2.0-OpenSSH_9.2\r\n").then_hang());
    assert_eq!(
        asked(&server, "").await.summary(),
        "error/protocol: the answer is not valid HTTP, or its head is too large"
    );
}

#[tokio::test]
async fn silence_is_a_timeout_that_names_its_phase_and_closes_the_connection() {
    let server = Server::silent();
    let outcome = outcome_within(&format!("url: {}", server.url("/")), SHORT).await;
    assert_eq!(outcome.summary(), "error/timeout: phase: processing");
    assert_eq!(outcome.phases(), ["connect", "processing"]);
    server.all_closed().await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_a_timeout_of_the_transfer() {
    let server = Server::http(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour").then_hang()
    });
    let outcome = outcome_within(&format!("url: {}", server.url("/")), SHORT).await;
    assert_eq!(outcome.summary(), "error/timeout: phase: transfer");
    assert_eq!(outcome.reading(STATUS, &[]), Some(200.0));
    server.all_closed().await;
}
