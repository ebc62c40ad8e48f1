//! The check against a server that says what a test wants it to say.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

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
    outcome::{Failure, Phase, Reason, Recording, Verdict},
    wire::Wire,
};

const TIMEOUT: Duration = Duration::from_secs(10);

/// How a server answers what it is sent; nothing is silence.
type Script = fn(&str) -> String;

/// A server for the length of a test, and how often it was connected to.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut received = [0; 4_096];
                    while let Ok(length @ 1..) = client.read(&mut received).await {
                        let commands = String::from_utf8_lossy(&received[..length]);
                        let _ = client.write_all(script(&commands).as_bytes()).await;
                    }
                });
            }
        });
        Self { port, connections }
    }

    fn check(&self, more: &str) -> Box<dyn Check> {
        let section = format!("url: redis://127.0.0.1:{}\n{more}", self.port);
        build(&section).unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn build(section: &str) -> Result<Box<dyn Check>, Vec<String>> {
    let node = node::parse(section, "f.yml").unwrap();
    let shared = Shared {
        wire: Arc::new(Wire::default()),
        runtime: Handle::current(),
        lag: Arc::new(LagMeter::default()),
    };
    super::build(Params::new(&node, "redis"), &shared)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

async fn probe(check: &dyn Check) -> (Result<Verdict, Failure>, Recording) {
    let context = ProbeContext::new(TIMEOUT, CancellationToken::new(), Handle::current());
    let result = timeout(TIMEOUT, check.probe(&context)).await.unwrap();
    (result, context.take_recording().0)
}

fn info(fields: &str) -> String {
    let info = format!("redis_version:7.0\r\nrole:master\r\n{fields}\r\n");
    format!("+PONG\r\n${}\r\n{info}\r\n", info.len())
}

/// A server with a full set of answers, but for those that a test gives.
fn answer_with(commands: &str, fields: &str, round_trip: Option<&str>) -> String {
    if commands.contains("SETNAME") {
        "+OK\r\n".to_owned()
    } else if commands.contains("INFO") {
        info(fields)
    } else if commands.contains("PING") {
        "+PONG\r\n".to_owned()
    } else {
        let nonce = || commands.split("\r\n").find(|word| word.len() == 32).unwrap_or_default();
        let stored = || format!("+OK\r\n$32\r\n{}\r\n:1\r\n", nonce());
        round_trip.map_or_else(stored, str::to_owned)
    }
}

#[tokio::test]
async fn a_connection_is_kept_from_run_to_run() {
    let server = Server::start(|commands| answer_with(commands, "", None)).await;
    let check = server.check("");
    for _ in 0..3 {
        assert_eq!(probe(&*check).await.0.unwrap(), Verdict::Healthy);
    }
    assert_eq!(server.connections(), 1);
    let phases: Vec<_> = probe(&*check).await.1.phases.iter().map(|(phase, _)| *phase).collect();
    assert_eq!(phases, [Phase::PoolWait, Phase::Query, Phase::RoundTrip]);
}

#[tokio::test]
async fn a_connection_with_an_answer_outstanding_is_never_used_again() {
    let script: Script = |commands| match commands {
        commands if commands.contains("GET") => String::new(),
        commands => answer_with(commands, "", None),
    };
    let server = Server::start(script).await;
    let check = server.check("");
    for run in 1..=3 {
        let context = ProbeContext::new(TIMEOUT, CancellationToken::new(), Handle::current());
        let in_round_trip = async {
            while !matches!(context.take_recording(), (_, Some(Phase::RoundTrip))) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            result = check.probe(&context) => panic!("{result:?}"),
            () = in_round_trip => {}
        }
        assert_eq!(server.connections(), run);
    }
}

#[tokio::test]
async fn a_value_that_is_not_read_back_is_unhealthy() {
    let script: Script = |commands| answer_with(commands, "", Some("+OK\r\n$-1\r\n:0\r\n"));
    let server = Server::start(script).await;
    let expected =
        Verdict::unhealthy(Reason::Assertion, "a value that was stored was not read back");
    assert_eq!(probe(&*server.check("")).await.0.unwrap(), expected);
    assert_eq!(probe(&*server.check("round_trip: false")).await.0.unwrap(), Verdict::Healthy);
}

#[tokio::test]
async fn a_write_that_is_refused_is_unhealthy() {
    let script: Script =
        |commands| answer_with(commands, "", Some("-OOM command not allowed\r\n$-1\r\n:0\r\n"));
    let server = Server::start(script).await;
    let expected = "the server refuses writes: its memory limit is reached";
    assert_eq!(
        probe(&*server.check("")).await.0.unwrap(),
        Verdict::unhealthy(Reason::Alarm, expected)
    );
}

#[tokio::test]
async fn memory_is_judged_where_nothing_is_evicted_or_where_limits_are_set() {
    let full: Script = |commands| {
        let memory = "used_memory:85\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction";
        answer_with(commands, memory, None)
    };
    let cache: Script = |commands| {
        let memory = "used_memory:100\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru";
        answer_with(commands, memory, None)
    };
    let (full, cache) = (Server::start(full).await, Server::start(cache).await);
    let message = "memory used of maxmemory 85% at or above warning 80%";
    let degraded = Verdict::degraded(Reason::Threshold, message);
    assert_eq!(probe(&*full.check("")).await.0.unwrap(), degraded);
    assert_eq!(probe(&*full.check("memory_ratio: ~")).await.0.unwrap(), Verdict::Healthy);
    let (verdict, recording) = probe(&*cache.check("")).await;
    assert_eq!(verdict.unwrap(), Verdict::Healthy);
    let is_threshold = |name: &str| name == "health_redis_memory_threshold_ratio";
    assert!(!recording.readings.iter().any(|reading| is_threshold(reading.def.name())));
    let (verdict, recording) = probe(&*cache.check("memory_ratio: {critical: 90%}")).await;
    let message = "memory used of maxmemory 100% at or above critical 90%";
    assert_eq!(verdict.unwrap(), Verdict::unhealthy(Reason::Threshold, message));
    let thresholds = recording.readings.iter().filter(|read| is_threshold(read.def.name()));
    let thresholds: Vec<_> = thresholds.map(|read| (&*read.labels[0], read.value)).collect();
    assert_eq!(thresholds, [("critical", 0.9)]);
}

#[tokio::test]
async fn clusters_and_sentinels_are_refused() {
    let cluster: Script = |commands| answer_with(commands, "redis_mode:cluster", None);
    let sentinel: Script = |commands| answer_with(commands, "redis_mode:sentinel", None);
    for script in [cluster, sentinel] {
        let server = Server::start(script).await;
        assert_eq!(probe(&*server.check("")).await.0.unwrap_err().reason, Reason::Config);
    }
}

#[tokio::test]
async fn the_role_must_be_the_one_expected() {
    let server = Server::start(|commands| answer_with(commands, "", None)).await;
    assert_eq!(probe(&*server.check("role: master")).await.0.unwrap(), Verdict::Healthy);
    assert_eq!(
        probe(&*server.check("role: replica")).await.0.unwrap(),
        Verdict::unhealthy(Reason::Assertion, "the server is not the replica that it should be")
    );
}

#[tokio::test]
async fn what_is_not_redis_is_a_protocol_error() {
    let server = Server::start(|_| "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()).await;
    let failure = probe(&*server.check("")).await.0.unwrap_err();
    assert_eq!(failure.reason, Reason::Protocol);
    assert_eq!(failure.message, "the server does not speak as Redis does");
}

#[tokio::test]
async fn a_password_file_that_changes_is_read_anew() {
    let server = Server::start(|commands| match commands {
        login if login.contains("AUTH") && login.contains("second") => "+OK\r\n+OK\r\n".to_owned(),
        login if login.contains("AUTH") => "-WRONGPASS invalid\r\n-NOAUTH no\r\n".to_owned(),
        _ => answer_with(commands, "", None),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "first\n").unwrap();
    let check = server.check(&format!("password_file: {}", path.display()));
    let failure = probe(&*check).await.0.unwrap_err();
    assert_eq!(failure.reason, Reason::Auth);
    assert_eq!(failure.message, "the server refused the user or the password");
    std::fs::write(&path, "second\n").unwrap();
    assert_eq!(probe(&*check).await.0.unwrap(), Verdict::Healthy);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(probe(&*check).await.0.unwrap(), Verdict::Healthy, "an open connection is kept");
}

#[tokio::test]
async fn a_target_is_shown_without_its_secrets() {
    let check = build("url: rediss://user:hunter2@db.internal/3").unwrap();
    let target = check.target().unwrap();
    assert_eq!(target.host, "db.internal:6379");
    assert_eq!(target.display, "rediss://db.internal:6379/3");
    let check = build("{url: 'redis://[::1]', database: 2}").unwrap();
    assert_eq!(check.target().unwrap().display, "redis://[::1]:6379/2");
}

#[tokio::test]
async fn every_problem_is_reported_at_its_place() {
    let form = "expected redis://[user[:password]@]host[:port][/database], rediss://… or \
                unix:///path, found";
    let other_scheme = format!("f.yml:1:6: redis.url: {form} another scheme or none");
    let other_form = format!("f.yml:1:6: redis.url: {form} something else after `redis://`");
    let one_server = "f.yml:1:6: redis.url: expected the address of one server: clusters and \
                      sentinels are not supported, make a check of each server";
    for (section, expected) in [
        ("url: http://hunter2", &*other_scheme),
        ("url: redis://host/x", &other_form),
        ("url: redis-sentinel://host/name", one_server),
        (
            "url: redis://a:1,b:2",
            "f.yml:1:6: redis.url: expected one host, found several: make a check of each server",
        ),
        (
            "{url: 'redis://:p#hunter2@host'}",
            "f.yml:1:7: redis.url: expected no `#`: write `%23` in a password, and \
             `tls: {insecure: true}` to accept any certificate",
        ),
        (
            "url: unix:///run/redis.sock\ntls: {insecure: true}",
            "f.yml:2:6: redis.tls: expected no TLS on the socket that `url` names",
        ),
        ("role: master", "f.yml:1:1: redis: the key `url` is missing"),
        (
            "url: redis://host\nrole: slave",
            "f.yml:2:7: redis.role: expected one of `any`, `master`, `replica`, found `slave`",
        ),
    ] {
        assert_eq!(build(section).err().unwrap(), [expected], "{section}");
    }
    let conflicts = "\
url: redis://user:hunter2@host/1
username: other
password_file: /no/such/file
database: 2
memory_ratio: {warning: 90%, critical: 80%}
clients_ratio: {warning: 90%, critical: 80%}
";
    assert_eq!(
        build(conflicts).err().unwrap(),
        [
            "f.yml:5:15: redis.memory_ratio: expected a warning that is not above critical",
            "f.yml:6:16: redis.clients_ratio: expected a warning that is not above critical",
            "f.yml:2:11: redis.username: expected only one of `username` and a user in `url`",
            "f.yml:3:16: redis.password_file: expected only one of `password_file` and a password \
             in `url`",
            "f.yml:3:16: redis.password_file: /no/such/file cannot be read: No such file or directory (os error 2)",
            "f.yml:4:11: redis.database: expected only one of `database` and a database in `url`",
        ]
    );
}
