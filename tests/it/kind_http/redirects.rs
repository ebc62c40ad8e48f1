//! Redirects, and what is sent along them.

use super::*;

/// Sends `/health` to `/a`, that to `/b` and so on, up to `/z`.
fn alphabet(request: &Request) -> Answer {
    match request.path() {
        "/health" => Answer::redirect(302, "/a"),
        "/z" => Answer::ok("end"),
        path => {
            let next = char::from(path.as_bytes()[1] + 1);
            Answer::redirect(302, &format!("/{next}"))
        }
    }
}

#[tokio::test]
async fn redirects_are_followed_and_counted_and_their_phases_add_up() {
    let server = Server::http(|request| match request.path() {
        "/health" => Answer::redirect(301, "/new"),
        _ => Answer::ok("fine"),
    });
    let outcome = asked(&server, "").await;
    assert_eq!(outcome.summary(), "healthy");
    assert_eq!(outcome.reading(REDIRECTS, &[]), Some(1.0));
    assert_eq!(outcome.reading(STATUS, &[]), Some(200.0));
    assert_eq!(outcome.phases(), ["connect", "processing", "transfer"]);
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn too_many_redirects_end_in_the_status_of_the_last() {
    let server = Server::http(alphabet);
    let outcome = asked(&server, "").await;
    assert_eq!(
        outcome.summary(),
        "unhealthy/status: status 302 after 3 redirects, expected 200-299"
    );
    assert_eq!(outcome.reading(REDIRECTS, &[]), Some(3.0));
    let outcome = asked(&server, "redirects: 10").await;
    assert_eq!(
        outcome.summary(),
        "unhealthy/status: status 302 after 10 redirects, expected 200-299"
    );
}

#[tokio::test]
async fn a_redirect_in_a_circle_ends_too() {
    let server = Server::http(|request| Answer::redirect(307, request.path()));
    assert_eq!(
        asked(&server, "redirects: 1").await.summary(),
        "unhealthy/status: status 307 after 1 redirect, expected 200-299"
    );
}

#[tokio::test]
async fn a_redirect_that_is_expected_is_not_followed() {
    let server = Server::http(|_| Answer::redirect(302, "/login"));
    let outcome = asked(&server, "status: 302\nheader_regex: {location: /login}").await;
    assert_eq!(outcome.summary(), "healthy");
    assert_eq!(outcome.reading(REDIRECTS, &[]), Some(0.0));
}

#[tokio::test]
async fn credentials_and_headers_turn_redirects_off() {
    let server = Server::http(|_| Answer::redirect(302, "/login"));
    let message = "unhealthy/status: status 302 (redirects are not followed), expected 200-299";
    for keys in [
        "redirects: 0",
        "basic_auth: {username: a, password: b}",
        "headers: {x-key: k}",
        "method: POST\nbody: secret",
    ] {
        assert_eq!(asked(&server, keys).await.summary(), message, "{keys}");
    }
}

#[tokio::test]
async fn nothing_configured_is_sent_to_another_origin() {
    let other = Server::http(|_| Answer::ok("fine"));
    let location = other.url("/elsewhere");
    let server = Server::http(move |_| Answer::redirect(302, &location));
    let keys = "headers: {x-key: k}\nredirects: 1\n";
    assert_eq!(asked(&server, keys).await.summary(), "healthy");
    assert_eq!(server.requests()[0].header("x-key"), Some("k"));
    assert_eq!(other.requests()[0].header("x-key"), None);
    assert_eq!(other.requests()[0].path(), "/elsewhere");
}

#[tokio::test]
async fn a_body_stays_with_its_origin() {
    let other = Server::http(|_| Answer::ok("fine"));
    let location = other.url("/");
    let server = Server::http(move |request| match request.path() {
        "/health" => Answer::redirect(308, "/again"),
        _ => Answer::redirect(308, &location),
    });
    let outcome = asked(&server, "method: POST\nbody: ping\nredirects: 3").await;
    assert_eq!(
        outcome.summary(),
        "unhealthy/status: status 308 after 1 redirect, expected 200-299"
    );
    assert_eq!(server.requests()[1].body, "ping");
    assert_eq!(other.accepted(), 0);
}
