use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    app::TestApp,
    targets::{Answer, Server},
};

fn program(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = "
checks:
  - {name: fine, tags: [own], runtime: {}}
  - {name: down, timeout: 2s, http: {url: 'http://127.0.0.1:1/'}}
";
    fs::write(folder.path().join("health.yml"), config).unwrap();
    Command::new(env!("CARGO_BIN_EXE_health-exporter"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn without_a_file_it_watches_this_machine_and_itself() {
    let app = TestApp::start_in(tempfile::tempdir().unwrap(), &[]);
    app.wait_for_first_round();
    for name in ["system", "disk", "runtime", "self"] {
        let view = app.wait_until(name, "judged", |view| view["status"] != "unknown");
        assert_eq!(view["importance"], "important");
    }
    app.wait_for("self", "healthy");
    assert_eq!(app.get("/health").status, 200, "a full laptop is no outage");
    let scrape = app.scrape();
    assert!(scrape.value("health_system_memory_total_bytes", &[]).is_some_and(|bytes| bytes > 1e6));
    assert_eq!(scrape.value("health_exporter_checks_configured", &[]), Some(4.0));
    assert!(scrape.value("process_resident_memory_bytes", &[]).is_some_and(|bytes| bytes > 1e6));
}

#[test]
fn it_runs_on_when_nobody_takes_its_log_lines() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut child = Command::new(env!("CARGO_BIN_EXE_health-exporter"))
        .args(["--log-level", "trace", "--listen", &address.to_string()])
        .stdout(Stdio::null())
        .stderr(fs::File::options().write(true).open("/dev/full").unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let answers = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /health/startup HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.0 200"))
    };
    while !answers().unwrap_or(false) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ended, None);
}

#[test]
fn a_port_in_use_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for arguments in
        [vec!["--listen", &address], vec!["--config", "health.yml", "--listen", &address]]
    {
        let (code, out, err) = said(&program(&arguments));
        assert_eq!(code, Some(1));
        assert_eq!(out, "");
        let reason = "Address already in use (os error 98); --listen chooses another address";
        assert_eq!(err, format!("cannot listen on {address}: {reason}\n"));
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for (arguments, message) in [
        (vec!["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (vec!["--speed", "9"], "unexpected argument '--speed'"),
        (vec!["--listen", "nowhere"], "cannot listen on `nowhere`: expected an address"),
        (vec!["--log-level", "info,=="], "--log-level: expected a level or a filter"),
        (
            vec!["run-once", "--config", "health.yml", "--check", "x"],
            "--check: there is no check `x`",
        ),
        (vec!["run-once", "--output", "xml"], "invalid value 'xml'"),
        (vec!["probe", "nonsense"], "nonsense: expected a URL such as http://127.0.0.1:10115/"),
        (vec!["check-config"], "<PATH>"),
    ] {
        let (code, out, err) = said(&program(&arguments));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(message), "{arguments:?}: {err}");
    }
}

#[test]
fn version_and_help_are_on_standard_output() {
    let (code, out, _) = said(&program(&["--version"]));
    assert_eq!((code, out), (Some(0), format!("health-exporter {}\n", env!("CARGO_PKG_VERSION"))));
    let (code, out, _) = said(&program(&["--help"]));
    assert_eq!(code, Some(0));
    for word in ["serve", "check-config", "run-once", "schema", "probe", "--config", "--listen"] {
        assert!(out.contains(word), "{word}");
    }
}

#[test]
fn run_once_shows_what_was_found_and_says_so_by_its_exit_code() {
    let (code, out, _) = said(&program(&["run-once", "--config", "health.yml"]));
    assert_eq!(code, Some(1));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("fine  healthy"), "{out}");
    assert!(lines[1].starts_with("down  error") && lines[1].contains("connect: "), "{out}");

    let (code, out, err) =
        said(&program(&["run-once", "--config", "health.yml", "--check", "fine"]));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.lines().count(), 1);
}

#[test]
fn run_once_asks_each_check_once_and_those_not_named_never() {
    // Long enough for the first runs of a service, which come within a second.
    let slow = Server::http(|_| Answer::ok("").after(Duration::from_millis(1_500)));
    let (quick, other) = (Server::http(|_| Answer::ok("")), Server::http(|_| Answer::ok("")));
    let check = |name: &str, server: &Server| {
        format!("  - {{name: {name}, http: {{url: '{}'}}}}\n", server.url("/"))
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("three.yml");
    let checks = [check("slow", &slow), check("quick", &quick), check("other", &other)];
    fs::write(&path, format!("checks:\n{}", checks.concat())).unwrap();
    let path = path.to_str().unwrap();
    let arguments = ["run-once", "--config", path, "--check", "slow", "--check", "quick"];
    let (code, out, _) = said(&program(&arguments));
    assert_eq!((code, out.lines().count()), (Some(0), 2), "{out}");
    let asked = [&slow, &quick, &other].map(|server| server.requests().len());
    assert_eq!(asked, [1, 1, 0]);
}

#[test]
fn run_once_as_json_is_for_programs() {
    let arguments = ["run-once", "--config", "health.yml", "--output", "json"];
    let (code, out, _) = said(&program(&arguments));
    assert_eq!(code, Some(1));
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["fine"]["status"], "healthy");
    assert_eq!(found["down"]["reason"], "connect");
    assert!(found["down"]["duration_seconds"].as_f64().unwrap() < 2.0);
}

#[test]
fn probe_says_by_its_exit_code_whether_a_url_answers() {
    let app = TestApp::start("checks: []");
    let live = format!("http://{}/health/live", app.address());
    let (code, out, err) = said(&program(&["probe", &live]));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let missing = format!("http://{}/missing", app.address());
    let (code, _, err) = said(&program(&["probe", &missing]));
    assert_eq!(code, Some(1));
    assert!(err.contains("status: "), "{err}");
}

#[test]
fn the_schema_is_a_json_schema_that_knows_every_kind() {
    let (code, out, _) = said(&program(&["schema"]));
    assert_eq!(code, Some(0));
    let schema: Value = serde_json::from_str(&out).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = serde_json::json!({"x-note": 1, "checks": [{"name": "a", "runtime": {}}]});
    assert!(validator.is_valid(&good));
    for bad in [
        serde_json::json!({"checks": [{"name": "a", "runtime": {"speed": 1}}]}),
        serde_json::json!({"checks": [{"name": "a"}]}),
        serde_json::json!({"checks": [{"name": "A", "runtime": {}}]}),
        serde_json::json!({"checks": [{"name": "a", "runtime": {}, "system": {}}]}),
        serde_json::json!({"colour": "red"}),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
    for kind in health_exporter::checks::KINDS {
        assert!(!schema["properties"]["checks"]["items"]["properties"][kind.name].is_null());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_health-exporter"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// A check that is under way for as long as it may, so that stopping has something to end.
const SLOW: &str = "
engine: {drain_delay: 60s}
checks:
  - {name: slow, interval: 30s, timeout: 30s, http: {url: 'http://10.255.255.1/'}}
  - {name: fine, interval: 200ms, runtime: {}}
";

#[test]
fn sigterm_drains_and_a_second_one_ends_at_once() {
    let app = TestApp::start(SLOW);
    app.wait_for("fine", "healthy");
    app.signal("TERM");
    app.wait_for_line("it drains", |line| line["message"] == "draining");
    let ready = app.get("/health/ready");
    assert_eq!((ready.status, &ready.json()["phase"]), (503, &"draining".into()));
    for path in ["/health/live", "/metrics", "/health/startup"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
    let draining = [("phase", "draining")];
    assert_eq!(app.scrape().value("health_exporter_phase", &draining), Some(1.0));
    app.wait_for_runs("fine", 1);
    app.signal("TERM");
    assert_eq!(app.wait_for_exit(), 0);
}

#[test]
fn sigint_ends_without_delay() {
    let app = TestApp::start(SLOW);
    app.wait_for("fine", "healthy");
    app.signal("INT");
    assert_eq!(app.wait_for_exit(), 0);
}

#[test]
fn sigterm_ends_by_itself_after_the_delay() {
    let app = TestApp::start(&SLOW.replace("60s", "100ms"));
    app.wait_for("fine", "healthy");
    app.signal("TERM");
    assert_eq!(app.wait_for_exit(), 0);
}

#[test]
fn the_log_tells_of_the_first_round_and_of_each_change_once() {
    let app = TestApp::start(
        "
defaults: {interval: 200ms}
checks:
  - {name: fine, runtime: {}}
  - {name: down, http: {url: 'http://127.0.0.1:1/?token=secret'}}
",
    );
    app.wait_for_first_round();
    app.wait_for_runs("down", 3);
    assert_eq!(app.transitions("down"), ["pending -> error (connect)"]);
    assert_eq!(app.transitions("fine"), Vec::<String>::new());
    let round = app
        .wait_for_line("the round is done", |line| line["message"] == "first round of checks done");
    assert_eq!((&round["checks"], &round["bad"]), (&2.into(), &1.into()));
    assert_eq!(round["names"], "down");
}

#[test]
fn sighup_does_not_end_it() {
    let app = TestApp::start(SLOW);
    app.wait_for("fine", "healthy");
    app.signal("HUP");
    app.wait_for_line("it is ignored", |line| {
        line["message"] == "SIGHUP is ignored: a new configuration needs a restart"
    });
    app.wait_for_runs("fine", 2);
}

/// What a log collector that hangs does.
#[test]
fn a_standard_error_that_nobody_reads_holds_nothing_up() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let folder = tempfile::tempdir().unwrap();
    let config = "checks: [{name: fine, interval: 100ms, runtime: {}}]";
    fs::write(folder.path().join("health.yml"), config).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_health-exporter"))
        .args(["--config", "health.yml", "--listen", &address, "--log-level", "trace"])
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A pipe holds 64 KiB; at this level a few hundred requests fill it.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut answered = 0;
    while answered < 500 {
        assert!(Instant::now() < deadline, "{answered} answers");
        let Ok(mut stream) = TcpStream::connect(&address) else { continue };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream
            .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer although nobody reads the log");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answered += 1;
    }
    let terminated = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(terminated.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
