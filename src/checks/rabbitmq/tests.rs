//! The configuration, and brokers that do not behave as one.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Handle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    check::{Check, Params, ProbeContext, Shared},
    lag::LagMeter,
    node,
    outcome::{Failure, Phase, Reason},
    wire::Wire,
};

fn build(section: &str) -> Result<Box<dyn Check>, Vec<String>> {
    let node = node::parse(section, "f.yml").unwrap();
    let shared = Shared {
        wire: Arc::new(Wire::default()),
        runtime: Handle::current(),
        lag: Arc::new(LagMeter::default()),
    };
    super::build(Params::new(&node, "rabbitmq"), &shared)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn context() -> ProbeContext {
    ProbeContext::new(Duration::from_secs(10), CancellationToken::new(), Handle::current())
}

#[tokio::test]
async fn what_is_not_amqp_is_a_protocol_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async {
        let (mut client, _) = listener.accept().await.unwrap();
        client.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        std::future::pending::<()>().await;
    };
    let check = build(&format!("url: amqp://127.0.0.1:{port}")).unwrap();
    let context = context();
    let failure: Failure = tokio::select! {
        () = server => unreachable!(),
        result = check.probe(&context) => result.unwrap_err(),
    };
    assert_eq!(failure.reason, Reason::Protocol);
    assert_eq!(failure.message, "the server does not speak AMQP");
}

#[tokio::test]
async fn a_run_that_is_given_up_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let check = build(&format!("url: amqp://127.0.0.1:{port}")).unwrap();
    let context = context();
    let greeted = async {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut header = [0; 8];
        client.read_exact(&mut header).await.unwrap();
        assert_eq!(&header, b"AMQP\x00\x00\x09\x01");
        client
    };
    let mut silent = tokio::select! {
        result = check.probe(&context) => panic!("{result:?}"),
        client = greeted => client,
    };
    assert_eq!(context.take_recording().1, Some(Phase::Auth));
    let end = timeout(Duration::from_secs(10), silent.read_u8()).await.unwrap();
    assert!(end.is_err(), "the broker is left with an open connection");
}

#[tokio::test]
async fn a_target_is_shown_without_its_secrets() {
    for (url, host, display) in [
        ("amqps://u:hunter2@mq.internal", "mq.internal:5671", "amqps://mq.internal:5671/%2f"),
        ("amqp://mq/%2f", "mq:5672", "amqp://mq:5672/%2f"),
        ("amqp://[::1]:7/orders?heartbeat=5", "[::1]:7", "amqp://[::1]:7/orders"),
    ] {
        let check = build(&format!("url: {url}")).unwrap();
        let target = check.target().unwrap();
        assert_eq!((&*target.host, &*target.display), (host, display));
    }
}

#[tokio::test]
async fn every_problem_is_reported_at_its_place() {
    let form = "expected amqp://[user[:password]@]host[:port][/vhost] or the same with amqps://";
    for (url, expected) in [
        ("http://hunter2", format!("{form}, found another scheme or none")),
        ("amqp://", format!("{form}, found no host")),
        ("amqp://:5672", format!("{form}, found something else after the scheme")),
        ("amqp://host:port", format!("{form}, found something else after the scheme")),
        ("amqp://a,b", "expected one host, found several: make a check of each broker".to_owned()),
        (
            "amqp://host/",
            "expected the name of a virtual host after the last `/`: leave the `/` away or write \
             `/%2f` for the virtual host `/`"
                .to_owned(),
        ),
        (
            "amqp://host?heartbeat=0",
            "expected a heartbeat from 1 to 60 seconds: without one, a broker that has raised an \
             alarm does not notice that a connection is gone"
                .to_owned(),
        ),
    ] {
        let expected = format!("f.yml:1:7: rabbitmq.url: {expected}");
        assert_eq!(build(&format!("{{url: '{url}'}}")).err().unwrap(), [expected], "{url}");
    }
    let section = "\
url: amqp://user:hunter2@host
password_file: /no/such/file
queues:
  - name: orders
    messages_ready: {warning: 9, critical: 8}
    consumers: {warning: 1, critical: 2}
  - name: ''
  - name: orders
";
    assert_eq!(
        build(section).err().unwrap(),
        [
            "f.yml:5:21: rabbitmq.queues[0].messages_ready: expected a warning that is not above \
             critical",
            "f.yml:6:16: rabbitmq.queues[0].consumers: expected a warning that is not below \
             critical",
            "f.yml:7:11: rabbitmq.queues[1].name: expected 1 to 255 bytes",
            "f.yml:8:11: rabbitmq.queues[2].name: expected every queue once, found it a second \
             time",
            "f.yml:2:16: rabbitmq.password_file: expected only one of `password_file` and a \
             password in `url`",
            "f.yml:2:16: rabbitmq.password_file: /no/such/file cannot be read: No such file or \
             directory (os error 2)",
        ]
    );
}
