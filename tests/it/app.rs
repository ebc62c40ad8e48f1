//! The real program, started on a free port for one test.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Generous, because a busy machine may give a test little time.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Ends the program when the test is gone in whatever way, which closes its standard input.
const GUARDIAN: &str = r#""$@" & echo $!; read -r _; kill -KILL $! 2>/dev/null; wait $!"#;

/// A running exporter; it ends when this is dropped.
pub struct TestApp {
    guardian: Child,
    pid: u32,
    address: SocketAddr,
    log: Arc<Log>,
    folder: TempDir,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
    /// The program has closed its standard error: no line will follow.
    complete: AtomicBool,
}

impl Log {
    fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }
}

impl TestApp {
    /// Starts the program with this configuration; it listens already when this returns.
    pub fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("health.yml"), config).unwrap();
        Self::start_in(folder, &["--config", "health.yml"])
    }

    /// Starts the program with these arguments, in a folder of its own.
    pub fn start_in(folder: TempDir, arguments: &[&str]) -> Self {
        let mut guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian", env!("CARGO_BIN_EXE_health-exporter")])
            .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let mut pid = String::new();
        BufReader::new(guardian.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(guardian.stderr.take().unwrap());
        let written = log.clone();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                written.lines.lock().unwrap().push(line);
                written.grown.notify_all();
            }
            written.complete.store(true, Ordering::Relaxed);
            written.grown.notify_all();
        });
        let pid = pid.trim().parse().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut app = Self { guardian, pid, address, log, folder };
        let listening = app.wait_for_line("it listens", |line| line["message"] == "listening");
        app.address = listening["address"].as_str().unwrap().parse().unwrap();
        app
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder that the program was started in.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[])
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
        Response::of(self.address, method, path, headers)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log.text()))
    }

    /// What `/health` says of one check.
    pub fn check(&self, name: &str) -> Value {
        self.get(&format!("/health/checks/{name}")).json()
    }

    /// Waits until a check is in a state (`healthy`, `degraded`, `unhealthy`, `error`, `unknown`)
    /// and gives what `/health` then says of it.
    pub fn wait_for(&self, check: &str, status: &str) -> Value {
        self.wait_until(check, status, |view| view["status"] == status)
    }

    /// Waits until what `/health` says of a check fulfils a condition.
    pub fn wait_until(&self, check: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let view = self.check(check);
            if holds(&view) {
                return view;
            }
            let log = self.log.text();
            assert!(Instant::now() < deadline, "{check} is not {what}: {view:#}\n{log}");
            thread::sleep(POLL);
        }
    }

    /// Waits until every check has run once, so that the process is `running`.
    pub fn wait_for_first_round(&self) {
        self.wait_for_line("the first round is done", |line| {
            line["message"] == "first round of checks done"
        });
    }

    /// Waits until a check has completed `count` more runs.
    pub fn wait_for_runs(&self, check: &str, count: u32) {
        let runs = |app: &Self| app.scrape().sum("health_check_runs_total", &[("check", check)]);
        let wanted = runs(self) + f64::from(count);
        let deadline = Instant::now() + PATIENCE;
        while runs(self) < wanted {
            assert!(Instant::now() < deadline, "{check} does not run\n{}", self.log.text());
            thread::sleep(POLL);
        }
    }

    /// All samples of `/metrics`.
    pub fn scrape(&self) -> Scrape {
        Scrape::parse(&self.get("/metrics").body)
    }

    /// The log lines so far.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.log.lines.lock().unwrap();
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The log lines about changes of a check, as `from -> state (reason)`, up to its state now.
    ///
    /// A thread of its own writes the log, so the last line may come after the state is shown.
    pub fn transitions(&self, check: &str) -> Vec<String> {
        let status = self.check(check)["status"].clone();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lines = self.log().into_iter();
            let own = lines.filter(|line| line["check"] == check && line["state"].is_string());
            let own: Vec<_> = own.collect();
            // That a check begins healthy is not logged.
            if own.last().map_or(status == "healthy", |line| line["state"] == status) {
                return own.iter().map(transition).collect();
            }
            assert!(Instant::now() < deadline, "{check} is {status}:\n{}", self.log.text());
            thread::sleep(POLL);
        }
    }

    /// Waits for a log line and gives it.
    pub fn wait_for_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            let parsed = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
            if let Some(line) = parsed.into_iter().find(&wanted) {
                return line;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let waits = !left.is_zero() && !self.log.complete.load(Ordering::Relaxed);
            assert!(waits, "no line says that {what}:\n{}", lines.join("\n"));
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Sends a signal such as `TERM` to the program.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).status();
        assert!(sent.unwrap().success(), "kill -{name} {}", self.pid);
    }

    /// Waits until the program has ended and gives its exit code.
    pub fn wait_for_exit(mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        let alive = || std::fs::exists(format!("/proc/{}/exe", self.pid)).unwrap_or(false);
        while alive() && std::fs::read_link(format!("/proc/{}/exe", self.pid)).is_ok() {
            assert!(Instant::now() < deadline, "it does not end\n{}", self.log.text());
            thread::sleep(POLL);
        }
        drop(self.guardian.stdin.take());
        self.guardian.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

fn transition(line: &Value) -> String {
    let word = |key: &str| line[key].as_str().unwrap_or("");
    format!("{} -> {} ({})", word("from"), word("state"), word("reason"))
}

/// An answer of the program.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub bytes: Vec<u8>,
}

impl Response {
    fn of(
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let bytes = answer[end + 4..].to_vec();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self { status, headers, body, bytes })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// The samples of an exposition.
#[derive(Debug)]
pub struct Scrape {
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        Self { samples: lines.map(parse_sample).collect() }
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        let fits = move |sample: &&(String, BTreeMap<String, String>, f64)| {
            let has =
                |(key, value): &(&str, &str)| sample.1.get(*key).is_some_and(|own| own == value);
            sample.0 == name && labels.iter().all(has)
        };
        self.samples.iter().filter(fits).map(|sample| sample.2)
    }

    /// The value of the one series with these labels; `None` when there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let values: Vec<_> = self.matching(name, labels).collect();
        assert!(values.len() <= 1, "{name}{labels:?} stands for {} series", values.len());
        values.first().copied()
    }

    /// The sum of all series with these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).sum()
    }

    /// The number of all series with these labels.
    pub fn count(&self, labels: &[(&str, &str)]) -> usize {
        let has = |sample: &&(String, BTreeMap<String, String>, f64)| {
            labels.iter().all(|(key, value)| sample.1.get(*key).is_some_and(|own| own == value))
        };
        self.samples.iter().filter(has).count()
    }
}

fn parse_sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut rest = labels.strip_suffix('}').unwrap();
    let mut parsed = BTreeMap::new();
    while let Some((key, quoted)) = rest.split_once("=\"") {
        let end = quoted
            .match_indices('"')
            .map(|(at, _)| at)
            .find(|at| quoted[..*at].chars().rev().take_while(|c| *c == '\\').count() % 2 == 0)
            .unwrap();
        parsed.insert(key.trim_start_matches(',').to_owned(), quoted[..end].to_owned());
        rest = &quoted[end + 1..];
    }
    (name.to_owned(), parsed, value.parse().unwrap())
}
