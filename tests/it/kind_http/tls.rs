//! Certificates: good, bad, soon to expire, and our own.

use std::time::SystemTime;

use tempfile::TempDir;

use super::*;

/// An authority that the check trusts, and where its certificate lies.
pub(super) struct Trust {
    pub(super) authority: Authority,
    pub(super) folder: TempDir,
}

impl Trust {
    pub(super) fn new() -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        authority.write(folder.path());
        Self { authority, folder }
    }

    /// A server with a certificate for `localhost` that holds from and to so many days from now.
    fn server(&self, from: i64, to: i64) -> Server {
        let identity = self.authority.issue(&["localhost"], from, to);
        Server::https(identity.server(), |_| Answer::ok("fine"))
    }

    /// The section for asking a server, with further TLS settings.
    fn section(&self, server: &Server, tls: &str) -> String {
        let ca = self.folder.path().join("ca.pem");
        let port = server.port();
        format!(
            "url: https://localhost:{port}/\nip_protocol: 4\ntls: {{ca_file: {}{tls}}}\n",
            ca.display()
        )
    }
}

pub(super) fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

fn expires_in(outcome: &Outcome, days: i64) -> bool {
    ["leaf", "earliest"].iter().all(|position| {
        let expiry = outcome.reading(EXPIRY, &[position]).unwrap();
        (expiry - unix(days_from_now(days))).abs() < 60.0
    })
}

#[tokio::test]
async fn a_good_certificate_is_healthy_with_its_expiry_and_phases() {
    let trust = Trust::new();
    let server = trust.server(-1, 90);
    let outcome = outcome(&trust.section(&server, "")).await;
    assert_eq!(outcome.summary(), "healthy");
    assert!(expires_in(&outcome, 90));
    assert_eq!(outcome.reading(VERIFIED, &[]), Some(1.0));
    assert_eq!(outcome.reading(THRESHOLD, &["warning"]), Some(14.0 * 86_400.0));
    assert_eq!(outcome.reading(THRESHOLD, &["critical"]), Some(3.0 * 86_400.0));
    assert_eq!(outcome.detail("certificate_verified"), Some(&Scalar::Bool(true)));
    assert_eq!(outcome.phases(), ["resolve", "connect", "tls", "processing", "transfer"]);
    server.all_closed().await;
}

#[tokio::test]
async fn each_run_makes_a_full_handshake() {
    let trust = Trust::new();
    let server = trust.server(-1, 90);
    let check = build("http", &trust.section(&server, "")).unwrap();
    for _ in 0..3 {
        assert_eq!(probe(check.as_ref(), PATIENCE).await.reading(VERIFIED, &[]), Some(1.0));
    }
}

#[tokio::test]
async fn a_bad_certificate_is_error_tls_with_its_expiry_and_nothing_is_sent() {
    let trust = Trust::new();
    let other = Authority::new();
    let cases = [
        (trust.authority.issue(&["localhost"], -9, -2), "of localhost has expired"),
        (trust.authority.issue(&["localhost"], 2, 9), "of localhost is not yet valid"),
        (trust.authority.issue(&["a.test"], -1, 9), "is for another host than localhost"),
        (
            other.issue(&["localhost"], -1, 9),
            "of localhost comes from an issuer that is not trusted",
        ),
    ];
    for (identity, words) in cases {
        let server = Server::https(identity.server(), |_| Answer::ok("fine"));
        let outcome = outcome(&trust.section(&server, "")).await;
        assert_eq!(outcome.summary(), format!("error/tls: the certificate {words}"));
        assert_eq!(outcome.reading(VERIFIED, &[]), Some(0.0));
        assert!(outcome.reading(EXPIRY, &["leaf"]).is_some());
        assert!(outcome.reading(EXPIRY, &["earliest"]).is_some());
        assert!(outcome.reading(THRESHOLD, &["warning"]).is_some());
        assert_eq!(outcome.phases(), ["resolve", "connect", "tls"]);
        assert!(server.requests().is_empty());
    }
}

#[tokio::test]
async fn without_a_ca_file_the_authorities_of_the_machine_judge() {
    let server = Trust::new().server(-1, 90);
    let section = format!("url: https://localhost:{}/\nip_protocol: 4\n", server.port());
    let strict = outcome(&section).await;
    assert_eq!(
        strict.summary(),
        "error/tls: the certificate of localhost comes from an issuer that is not trusted"
    );
    let insecure = outcome(&format!("{section}tls: {{insecure: true}}")).await;
    assert_eq!(insecure.summary(), "healthy");
    assert_eq!(insecure.reading(VERIFIED, &[]), Some(0.0));
}

#[tokio::test]
async fn an_insecure_check_goes_on_and_still_tells_the_truth() {
    let trust = Trust::new();
    let server = trust.server(-9, -2);
    let section = trust.section(&server, ", insecure: true");
    let expired = outcome(&section).await;
    assert_eq!(expired.summary(), "unhealthy/threshold: a certificate expired 2d ago");
    let unjudged = outcome(&format!("{section}cert_expiry: null")).await;
    assert_eq!(unjudged.summary(), "healthy");
    assert_eq!(unjudged.reading(VERIFIED, &[]), Some(0.0));
    assert_eq!(unjudged.reading(THRESHOLD, &["warning"]), None);
}

#[tokio::test]
async fn a_certificate_about_to_expire_is_degraded_and_then_unhealthy() {
    let trust = Trust::new();
    let server = trust.server(-1, 10);
    assert_eq!(
        outcome(&trust.section(&server, "")).await.summary(),
        "degraded/threshold: a certificate expires in 9d, below warning 14d"
    );
    let section = trust.section(&server, "") + "cert_expiry: {warning: 30d, critical: 20d}";
    assert_eq!(
        outcome(&section).await.summary(),
        "unhealthy/threshold: a certificate expires in 9d, below critical 20d"
    );
}

#[tokio::test]
async fn what_was_learned_of_the_certificate_survives_a_timeout() {
    let trust = Trust::new();
    let identity = trust.authority.issue(&["localhost"], -1, 90);
    let server = Server::https(identity.server(), |_| Answer::raw("").then_hang());
    let outcome = outcome_within(&trust.section(&server, ""), Duration::from_secs(1)).await;
    assert_eq!(outcome.summary(), "error/timeout: phase: processing");
    assert_eq!(outcome.reading(VERIFIED, &[]), Some(1.0));
    assert!(expires_in(&outcome, 90));
}

#[tokio::test]
async fn a_server_name_is_asked_for_and_expected_while_the_host_stays() {
    let trust = Trust::new();
    let identity = trust.authority.issue(&["api.test"], -1, 90);
    let server = Server::https(identity.server(), |_| Answer::ok("fine"));
    let ca = trust.folder.path().join("ca.pem");
    for (host, keys) in [
        (format!("127.0.0.1:{}", server.port()), ""),
        (format!("localhost:{}", server.port()), "ip_protocol: 4"),
        ("api.invalid".to_owned(), &format!("resolve_to: 127.0.0.1:{}", server.port())),
    ] {
        let section = format!(
            "url: https://{host}/\n{keys}\ntls: {{ca_file: {}, server_name: api.test}}",
            ca.display()
        );
        assert_eq!(outcome(&section).await.summary(), "healthy", "{section}");
        assert_eq!(server.requests().pop().unwrap().header("host"), Some(host.as_str()));
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_follows_its_files() {
    let trust = Trust::new();
    let identity = trust.authority.issue(&["localhost"], -1, 90);
    let config = identity.server_for_clients_of(&trust.authority);
    let server = Server::https(config, |_| Answer::ok("fine"));
    assert_eq!(
        outcome(&trust.section(&server, "")).await.summary(),
        "error/tls: the server wants a client certificate"
    );

    let (cert, key) = Authority::new().issue(&["client"], -1, 90).write(trust.folder.path());
    let tls = format!(", cert_file: {}, key_file: {}", cert.display(), key.display());
    let check = build("http", &trust.section(&server, &tls)).unwrap();
    let outcome = probe(check.as_ref(), PATIENCE).await;
    assert_eq!(
        outcome.summary(),
        "error/tls: the server refused our client certificate, or the lack of one"
    );
    trust.authority.issue(&["client"], -1, 90).write(trust.folder.path());
    assert_eq!(probe(check.as_ref(), PATIENCE).await.summary(), "healthy");
    std::fs::write(&key, "no key").unwrap();
    assert_eq!(
        probe(check.as_ref(), PATIENCE).await.summary(),
        "error/config: tls.key_file: the file cannot be used"
    );
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_error_tls() {
    let server = Server::greeting("HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(
        outcome(&format!("url: https://{}/", server.address())).await.summary(),
        "error/tls: the server does not speak TLS on this port"
    );
}

#[tokio::test]
async fn silence_in_the_handshake_is_a_timeout_of_the_tls_phase() {
    let server = Server::silent();
    let section = format!("url: https://{}/", server.address());
    let outcome = outcome_within(&section, SHORT).await;
    assert_eq!(outcome.summary(), "error/timeout: phase: tls");
    assert_eq!(outcome.reading(VERIFIED, &[]), None);
    server.all_closed().await;
}

#[tokio::test]
async fn a_redirect_to_another_host_leaves_the_certificate_of_the_target() {
    let trust = Trust::new();
    let other = trust.server(-9, -2);
    let location = format!("https://localhost:{}/", other.port());
    let identity = trust.authority.issue(&["localhost"], -1, 90);
    let server = Server::https(identity.server(), move |_| Answer::redirect(302, &location));
    let outcome = outcome(&trust.section(&server, "")).await;
    assert_eq!(outcome.summary(), "error/tls: the certificate of localhost has expired");
    assert!(expires_in(&outcome, 90));
    assert_eq!(outcome.reading(VERIFIED, &[]), Some(1.0));
}
