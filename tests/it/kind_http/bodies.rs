//! Bodies: compression, limits, and those that break.

use super::*;

const GZIP: &str = "content-encoding: gzip\r\n";

#[tokio::test]
async fn the_size_counts_after_decompression() {
    let server = Server::http(|_| Answer::new(200, GZIP, gzip(&vec![b'a'; 100_000])));
    let outcome = asked(&server, "body_regex: ^a+$").await;
    assert_eq!(outcome.summary(), "healthy");
    assert_eq!(outcome.reading(SIZE, &[]), Some(100_000.0));
}

#[tokio::test]
async fn a_gzip_bomb_is_stopped_at_the_limit() {
    let server = Server::http(|_| Answer::new(200, GZIP, gzip(&vec![0; 4 << 20])));
    let outcome = asked(&server, "max_body: 100kB\nbody_regex: a").await;
    assert_eq!(outcome.summary(), "unhealthy/body_limit: the body is larger than 100000B");
    assert_eq!(outcome.reading(STATUS, &[]), Some(200.0));
    assert_eq!(outcome.reading(SIZE, &[]), None);
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_fine() {
    let server = Server::http(|_| Answer::ok("12345"));
    assert_eq!(asked(&server, "max_body: 5").await.summary(), "healthy");
    assert_eq!(
        asked(&server, "max_body: 4").await.summary(),
        "unhealthy/body_limit: the body is larger than 4B"
    );
}

#[tokio::test]
async fn what_is_not_gzip_is_error_protocol() {
    let message = "error/protocol: the answer is not the gzip that it claims to be";
    let server = Server::http(|_| Answer::new(200, GZIP, "plain"));
    assert_eq!(asked(&server, "").await.summary(), message);
    let server = Server::http(|_| {
        let whole = gzip(b"a long enough body");
        Answer::new(200, GZIP, &whole[..whole.len() - 6])
    });
    assert_eq!(asked(&server, "").await.summary(), message);
}

#[tokio::test]
async fn an_empty_body_that_claims_to_be_gzip_is_fine() {
    let server = Server::http(|_| Answer::new(200, GZIP, ""));
    assert_eq!(asked(&server, "").await.summary(), "healthy");
}

#[tokio::test]
async fn a_body_that_ends_early_is_error_protocol() {
    let message = "error/protocol: the answer ended early";
    let head = "HTTP/1.1 200 OK\r\n";
    let server = Server::http(move |_| Answer::raw(format!("{head}content-length: 9\r\n\r\nfour")));
    assert_eq!(asked(&server, "").await.summary(), message);
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nfo");
    let server = Server::http(move |_| Answer::raw(&chunked));
    let outcome = asked(&server, "").await;
    assert_eq!(outcome.summary(), message);
    assert_eq!(outcome.reading(STATUS, &[]), Some(200.0));
}

#[tokio::test]
async fn a_chunk_without_a_size_is_error_protocol() {
    let server = Server::http(move |_| {
        Answer::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n")
    });
    assert_eq!(
        asked(&server, "").await.summary(),
        "error/protocol: the answer is not cut into valid chunks"
    );
}

#[tokio::test]
async fn a_reset_in_the_middle_is_error_connect() {
    let server = Server::http(|_| {
        Answer::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour").then_reset()
    });
    assert_eq!(
        asked(&server, "").await.summary(),
        "error/connect: the connection was reset in the middle of the answer"
    );
}
