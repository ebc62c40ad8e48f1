use std::{sync::Arc, time::Duration};

use health_exporter::outcome::Outcome;
use rustls::ServerConfig;
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    certificates::{Authority, Identity},
    probing::{Ask, build, probe},
    servers::{Rabbitmq, Redis},
};

/// The port of a listener that speaks TLS and passes on what it hears to a port without.
async fn in_front_of(port: u16, config: ServerConfig) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Clients that are refused are what the tests are about.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    front
}

/// The certificates of a test, as files.
struct Certificates {
    folder: TempDir,
    authority: Authority,
    server: Identity,
}

impl Certificates {
    fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let server = authority.issue(&["server.test"], -1, 1);
        authority.write(folder.path());
        authority.issue(&["client.test"], -1, 1).write(folder.path());
        Self { folder, authority, server }
    }

    /// Settings of TLS whose files are in the folder.
    fn settings(&self, keys: &str) -> String {
        keys.replace("DIR", &self.folder.path().display().to_string())
    }
}

async fn ask(kind: &str, section: &str) -> Outcome {
    let check = build(kind, section).unwrap();
    probe(&*check, Duration::from_secs(10)).await
}

/// What holds for every kind whose connection is opened for its driver; `section` makes one of a
/// port and settings of TLS.
async fn certificates_are_judged(kind: &str, port: u16, section: impl Fn(u16, &str) -> String) {
    let certificates = Certificates::new();
    let front = in_front_of(port, certificates.server.server()).await;
    let ask =
        async |port, keys: &str| ask(kind, &section(port, &certificates.settings(keys))).await;

    let good = ask(front, "{ca_file: DIR/ca.pem, server_name: server.test}").await;
    assert_eq!(good.summary(), "healthy");
    assert!(good.phases().contains(&"tls"), "{:?}", good.phases());
    assert_eq!(ask(front, "{insecure: true}").await.summary(), "healthy");
    assert_eq!(
        ask(front, "{server_name: server.test}").await.summary(),
        "error/tls: the certificate of server.test comes from an issuer that is not trusted"
    );
    assert_eq!(
        ask(front, "{ca_file: DIR/ca.pem}").await.summary(),
        "error/tls: the certificate is for another host than 127.0.0.1"
    );

    let wants = certificates.server.server_for_clients_of(&certificates.authority);
    let front = in_front_of(port, wants).await;
    let without = "{ca_file: DIR/ca.pem, server_name: server.test}";
    assert_eq!(
        ask(front, without).await.summary(),
        "error/tls: the server wants a client certificate"
    );
    let with = "{ca_file: DIR/ca.pem, server_name: server.test, cert_file: DIR/cert.pem, \
                key_file: DIR/key.pem}";
    assert_eq!(ask(front, with).await.summary(), "healthy");
}

#[tokio::test]
async fn redis_over_tls() {
    let Some(redis) = Redis::shared() else { return };
    let password = &redis.password;
    certificates_are_judged("redis", redis.port, |port, tls| {
        format!("{{url: 'rediss://:{password}@127.0.0.1:{port}', tls: {tls}}}")
    })
    .await;
}

#[tokio::test]
async fn rabbitmq_over_tls() {
    let Some(broker) = Rabbitmq::shared() else { return };
    let vhost = broker.create_vhost();
    let (user, password, name) = (&vhost.user, &vhost.password, &vhost.name);
    certificates_are_judged("rabbitmq", vhost.port, |port, tls| {
        format!("{{url: 'amqps://{user}:{password}@127.0.0.1:{port}/{name}', tls: {tls}}}")
    })
    .await;
}

#[tokio::test]
async fn authorities_that_change_are_read_anew() {
    let Some(redis) = Redis::shared() else { return };
    let (old, new) = (Certificates::new(), Certificates::new());
    let port = in_front_of(redis.port, new.server.server()).await;
    let password = &redis.password;
    let tls = old.settings("{ca_file: DIR/ca.pem, server_name: server.test}");
    let section = format!("{{url: 'rediss://:{password}@127.0.0.1:{port}', tls: {tls}}}");
    let check = build("redis", &section).unwrap();
    let limit = Duration::from_secs(10);
    assert!(probe(&*check, limit).await.summary().starts_with("error/tls"));
    new.authority.write(old.folder.path());
    assert_eq!(probe(&*check, limit).await.summary(), "healthy");
}
