//! Ways to a server: credentials, proxies, fixed addresses, IP versions.

use super::*;

/// `me` with the password `s3cret`.
const BASIC: &str = "Basic bWU6czNjcmV0";

fn guarded(request: &Request) -> Answer {
    match request.header("authorization") {
        Some(BASIC | "Bearer t0ken") => Answer::ok("fine"),
        _ => Answer::new(401, "", ""),
    }
}

#[tokio::test]
async fn user_and_password_are_sent() {
    let server = Server::http(guarded);
    let keys = "basic_auth: {username: me, password: s3cret}";
    assert_eq!(asked(&server, keys).await.summary(), "healthy");
    let keys = "basic_auth: {username: me, password: wrong}";
    assert_eq!(
        asked(&server, keys).await.summary(),
        "unhealthy/auth: status 401: credentials are missing or refused"
    );
}

#[tokio::test]
async fn secret_files_are_read_anew_for_each_run() {
    let server = Server::http(guarded);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "old\n").unwrap();
    let section = format!("url: {}\nbearer_token_file: {}", server.url("/"), path.display());
    let check = build("http", &section).unwrap();
    let refused = "unhealthy/auth: status 401: credentials are missing or refused";
    assert_eq!(probe(check.as_ref(), PATIENCE).await.summary(), refused);
    std::fs::write(&path, "t0ken\n").unwrap();
    assert_eq!(probe(check.as_ref(), PATIENCE).await.summary(), "healthy");
    std::fs::write(&path, "two\nlines").unwrap();
    assert_eq!(
        probe(check.as_ref(), PATIENCE).await.summary(),
        "error/config: the credentials hold characters that no header can carry"
    );
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        probe(check.as_ref(), PATIENCE).await.summary(),
        "error/config: bearer_token_file cannot be read"
    );
}

#[tokio::test]
async fn a_fixed_address_takes_the_place_of_resolving() {
    let server = Server::http(|_| Answer::ok("fine"));
    let port = server.port();
    for (url, resolve_to) in [
        ("http://api.invalid/".to_owned(), format!("127.0.0.1:{port}")),
        (format!("http://api.invalid:{port}/"), "127.0.0.1".to_owned()),
        ("http://api.invalid:81/".to_owned(), format!("127.0.0.1:{port}")),
    ] {
        let section = format!("url: {url}\nresolve_to: {resolve_to}");
        let outcome = outcome(&section).await;
        assert_eq!(outcome.summary(), "healthy", "{section}");
        assert_eq!(outcome.phases(), ["connect", "processing", "transfer"]);
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        assert_eq!(server.requests().pop().unwrap().header("host"), Some(host));
    }
}

#[tokio::test]
async fn a_name_without_an_address_of_the_version_is_error_dns() {
    let server = Server::http(|_| Answer::ok("fine"));
    let url = format!("url: http://localhost:{}/", server.port());
    assert_eq!(outcome(&format!("{url}\nip_protocol: 4")).await.summary(), "healthy");
    let outcome = outcome(&format!("{url}\nip_protocol: 6")).await;
    // Whether `localhost` has an IPv6 address is up to the machine; this server has none.
    assert!(
        [
            "error/dns: the name localhost has no IPv6 address",
            "error/connect: the connection was refused",
        ]
        .contains(&outcome.summary().as_str()),
        "{}",
        outcome.summary()
    );
}

/// A proxy that answers everything itself, if asked with the right password.
fn proxy(request: &Request) -> Answer {
    match request.header("proxy-authorization") {
        Some(BASIC) if request.line.starts_with("CONNECT") => Answer::new(502, "", ""),
        Some(BASIC) => Answer::ok(&request.line),
        _ => Answer::new(407, "", ""),
    }
}

#[tokio::test]
async fn a_proxy_is_asked_in_place_of_the_target() {
    let server = Server::http(proxy);
    let way = format!("proxy: http://{}\n", server.address());
    let asking = "url: http://api.invalid/x\nbody_regex: ^GET http://api.invalid/x HTTP";
    let keys = format!("{asking}\n{way}proxy_auth: {{username: me, password: s3cret}}");
    assert_eq!(outcome(&keys).await.summary(), "healthy");
    assert_eq!(
        outcome(&format!("{asking}\n{way}")).await.summary(),
        "unhealthy/auth: status 407: the proxy wants other credentials"
    );
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_says_why() {
    let server = Server::http(proxy);
    let section = format!("url: https://api.invalid/\nproxy: http://{}\n", server.address());
    assert_eq!(outcome(&section).await.summary(), "error/auth: the proxy wants other credentials");
    let section = format!("{section}proxy_auth: {{username: me, password: s3cret}}");
    assert_eq!(
        outcome(&section).await.summary(),
        "error/connect: the proxy opened no tunnel to the host"
    );
    assert_eq!(server.requests()[0].line, "CONNECT api.invalid:443 HTTP/1.1");
}

#[tokio::test]
async fn a_proxy_that_is_down_is_named() {
    let port = unused_port();
    let section = format!("url: http://api.invalid/\nproxy: http://127.0.0.1:{port}");
    assert_eq!(
        outcome(&section).await.summary(),
        "error/connect: the connection to the proxy was refused"
    );
}

#[tokio::test]
async fn the_target_is_shown_without_its_query() {
    let check = build("http", "url: https://Example.com/a/b?token=s3cret#top").unwrap();
    let target = check.target().unwrap();
    assert_eq!(target.display, "https://example.com/a/b");
    assert_eq!(target.host, "example.com:443");
}
