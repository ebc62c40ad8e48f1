use std::{
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use actix_web::App;
use health_exporter::{HealthExporter, Reason, RegisterError, State, Verdict};

/// The example as `cargo test` has built it, beside the test program.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples/embed")
}

/// Ends the example with the test, however that ends.
struct Example {
    guardian: Child,
    address: SocketAddr,
}

impl Example {
    fn start() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let script = r#""$@" & read -r _; kill -KILL $! 2>/dev/null; wait $!"#;
        let guardian = Command::new("sh")
            .args(["-c", script, "guardian", example().to_str().unwrap(), &address.to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let example = Self { guardian, address };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the example listens");
            thread::sleep(Duration::from_millis(20));
        }
        example
    }

    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = "HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0";
        write!(stream, "{method} {path} {head}\r\n\r\n").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_to_string(&mut answer).unwrap();
        answer
    }

    fn ask_until(&self, path: &str, wanted: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.ask("GET", path);
            if answer.contains(wanted) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} does not hold {wanted}: {answer}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

#[test]
fn the_example_serves_its_own_route_its_metric_its_checks_and_our_endpoints() {
    let example = Example::start();
    let health = example.ask_until("/health", "\"healthy\":2");
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(health.contains("\"name\":\"orders\""));
    for _ in 0..11 {
        assert!(example.ask("POST", "/orders").starts_with("HTTP/1.1 201"));
    }
    let metrics = example.ask("GET", "/metrics");
    assert!(metrics.contains("\norders_placed_total 11\n"));
    assert!(metrics.contains("health_check_up{check=\"ping\",kind=\"code\",group=\"default\"} 1"));
    let backlog = example.ask_until("/health/checks/backlog", "\"degraded\"");
    assert!(backlog.contains("more than 10 orders wait"), "{backlog}");
    assert!(example.ask("GET", "/health/tags/business").starts_with("HTTP/1.1 200"));
}

fn exporter() -> HealthExporter {
    HealthExporter::builder().service("test", "1").build().unwrap()
}

#[tokio::test]
async fn a_registered_closure_runs_and_its_verdict_is_known() {
    let health = exporter();
    let ledger = health
        .check("ledger", |context| async move {
            context.detail("pending", 7);
            Ok(Verdict::unhealthy_if(true, Reason::Assertion, "the ledger is closed"))
        })
        .group("books")
        .register()
        .unwrap();
    let running = health.start().unwrap();
    let record = ledger.run_now().await.unwrap();
    assert_eq!(record.state(), State::Unhealthy);
    assert_eq!(record.finding().unwrap().message, "the ledger is closed");
    running.stop().await;
}

#[tokio::test]
async fn checks_come_and_go_while_the_exporter_runs() {
    let health = exporter();
    let running = health.start().unwrap();
    let late = health.register_check("late", || async { Ok::<_, std::io::Error>(()) }).unwrap();
    assert_eq!(late.run_now().await.unwrap().state(), State::Healthy);
    let handle = late.clone();
    late.remove();
    assert!(handle.record().is_none());
    assert!(handle.run_now().await.is_none());
    assert!(health.snapshot().records.is_empty());
    health.register_check("late", || async { Ok::<_, std::io::Error>(()) }).unwrap();
    running.stop().await;
}

#[test]
fn what_cannot_be_registered_says_why() {
    let health = exporter();
    let ok = || async { Ok::<_, std::io::Error>(()) };
    health.register_check("a", ok).unwrap();
    let error = |result: Result<_, RegisterError>| result.err().unwrap().to_string();
    assert_eq!(error(health.register_check("a", ok)), "there is another check `a`");
    assert!(error(health.register_check("A b", ok)).starts_with("`A b` is not a valid name"));
    let verdict = |_| async { Ok(Verdict::Healthy) };
    let long = Duration::from_mins(1);
    assert_eq!(
        error(health.check("b", verdict).timeout(long).register()),
        "check `b`: timeout: expected at most the interval of 15s, found 1m"
    );
    assert!(error(health.check("b", verdict).tag("#").register()).starts_with("`#` is not"));
    assert!(
        error(health.check("b", verdict).interval(Duration::MAX).register())
            .starts_with("check `b`: interval: expected at most 365d, found ")
    );
}

/// `/metrics` as the routes of the exporter answer it.
fn metrics(health: &HealthExporter) -> String {
    let answer = async {
        let app = actix_web::test::init_service(App::new().configure(health.routes())).await;
        let request = actix_web::test::TestRequest::get().uri("/metrics").to_request();
        actix_web::test::call_and_read_body(&app, request).await
    };
    let body = actix_web::rt::System::new().block_on(answer);
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn a_name_that_is_registered_again_has_the_labels_of_its_new_check() {
    let health = exporter();
    for group in ["old", "new"] {
        let verdict = |_| async { Ok(Verdict::Healthy) };
        let handle = health.check("a", verdict).group(group).register().unwrap();
        let row = format!("health_check_info{{check=\"a\",kind=\"code\",group=\"{group}\"");
        assert!(metrics(&health).contains(&row), "{row}");
        handle.remove();
    }
}

#[test]
fn a_program_without_a_configuration_of_ours_says_nothing_of_loading_it() {
    assert!(!metrics(&exporter()).contains("health_exporter_config_"));
}

#[tokio::test]
async fn who_waits_for_a_run_does_not_keep_it_going() {
    let health = exporter();
    let slow = |_| async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        Ok(Verdict::Healthy)
    };
    let slow = health.check("slow", slow).interval(Duration::from_mins(1)).register().unwrap();
    let running = health.start().unwrap();
    let waiting = tokio::spawn(async move { slow.run_now().await });
    tokio::task::yield_now().await;
    drop(running);
    let answer = tokio::time::timeout(Duration::from_secs(3), waiting).await;
    assert!(answer.expect("the engine has ended").unwrap().is_none());
}

#[tokio::test]
async fn a_second_start_is_refused_and_leaves_the_first_alone() {
    let health = exporter();
    let check = health.register_check("a", || async { Ok::<_, std::io::Error>(()) }).unwrap();
    let running = health.start().unwrap();
    assert!(health.start().is_err());
    assert_eq!(check.run_now().await.unwrap().state(), State::Healthy);
    running.stop().await;
}

#[test]
fn two_exporters_in_one_process_are_apart() {
    let (one, other) = (exporter(), exporter());
    let ok = || async { Ok::<_, std::io::Error>(()) };
    one.register_check("a", ok).unwrap();
    other.register_check("a", ok).unwrap();
    let _running = (one.start().unwrap(), other.start().unwrap());
    assert_eq!(one.snapshot().records.len(), 1);
}

#[test]
fn the_collector_gives_the_same_families_to_a_registry_of_the_program() {
    let health = exporter();
    health.register_check("a", || async { Ok::<_, std::io::Error>(()) }).unwrap();
    let registry = prometheus::Registry::new();
    registry.register(Box::new(health.collector())).unwrap();
    let families = registry.gather();
    let family = |name: &str| families.iter().find(|family| family.name() == name).unwrap();
    assert_eq!(family("health_check_state").get_metric().len(), State::ALL.len());
    let durations = family("health_check_duration_seconds").get_metric()[0].get_histogram();
    assert_eq!(durations.get_bucket().len(), 9);
}

#[test]
fn dropping_the_guard_ends_the_runs() {
    let health = exporter();
    let running = health.start().unwrap();
    drop(running);
    let refused = health.register_check("a", || async { Ok::<_, std::io::Error>(()) });
    assert!(matches!(refused, Err(RegisterError::Stopped)));
}
