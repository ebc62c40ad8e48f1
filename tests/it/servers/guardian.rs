//! The guardian of one private server: a small shell process that outlives the test process just
//! long enough to end the server and remove its folder.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Generous, because several servers may start at once on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);
const PROBE_INTERVAL: Duration = Duration::from_millis(50);
const START_ATTEMPTS: usize = 3;
const LOG_TAIL_LINES: usize = 40;

/// User and group `nobody`.
const NOBODY: u32 = 65_534;

/// Why a server did not come up.
pub(super) struct NotUp {
    /// It ended by itself, as it does when another process has taken its port.
    ended: bool,
    message: String,
}

/// Tries again with a new folder and new ports when the server ended while it started.
pub(super) fn launch<S>(attempt: impl Fn() -> Result<S, NotUp>) -> Result<S, String> {
    let mut result = attempt();
    for _ in 1..START_ATTEMPTS {
        match result {
            Err(NotUp { ended: true, .. }) => result = attempt(),
            _ => break,
        }
    }
    result.map_err(|not_up| not_up.message)
}

/// Some servers refuse to run as root, so root runs them all as `nobody`.
pub(super) fn as_server_user(command: &mut Command) -> &mut Command {
    if is_root() { command.uid(NOBODY).gid(NOBODY) } else { command }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("/proc tells who this process is").uid() == 0
}

/// A word of a shell command line.
pub(super) fn shell_quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

struct Conversation {
    process: Child,
    answers: BufReader<ChildStdout>,
}

/// Owns one server and its folder; both are gone when this is dropped or its process ends.
pub(super) struct Guardian {
    server: &'static str,
    folder: PathBuf,
    conversation: Mutex<Conversation>,
}

impl Guardian {
    /// `last_signal` ends the server when nobody needs it or its data any more.
    pub(super) fn new(server: &'static str, last_signal: &str) -> Self {
        let template = std::env::temp_dir().join(format!("health-exporter-{server}.XXXXXX"));
        let mut command = Command::new("setsid"); // away from the terminal and its signals
        command.args(["sh", "-c", include_str!("guardian.sh"), "guardian"]);
        command.arg(template).arg(last_signal).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = as_server_user(&mut command).spawn().expect("setsid and sh start");
        let answers = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let mut conversation = Conversation { process, answers };
        let folder = conversation.answer();
        assert!(!folder.is_empty(), "the guardian of {server} has no temporary folder");
        Self { server, folder: folder.into(), conversation: Mutex::new(conversation) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file that only the server's user can read.
    pub(super) fn write(&self, name: &str, content: &str) {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("the server's folder is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        if is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("root may change owners");
        }
    }

    /// Runs the folder's shell script `run` as the server and waits until `is_ready`.
    pub(super) fn start(&self, is_ready: impl Fn() -> bool) -> Result<(), NotUp> {
        self.order("start");
        let deadline = Instant::now() + START_LIMIT;
        while !is_ready() {
            let ended = self.order("status") == "ended";
            if ended || Instant::now() > deadline {
                let message = self.failure(if ended { "ended" } else { "was not ready in time" });
                self.order("stop KILL");
                return Err(NotUp { ended, message });
            }
            thread::sleep(PROBE_INTERVAL);
        }
        Ok(())
    }

    /// As `start`, for a server that was up before.
    pub(super) fn restart(&self, is_ready: impl Fn() -> bool) {
        if let Err(not_up) = self.start(is_ready) {
            panic!("{}", not_up.message);
        }
    }

    /// Returns when the server's processes have ended; the folder stays.
    pub(super) fn stop(&self, signal: &str) {
        self.order(&format!("stop {signal}"));
    }

    fn order(&self, order: &str) -> String {
        // A test that panicked has not left the conversation in the middle of a line.
        let mut conversation = self.conversation.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = conversation.process.stdin.as_mut().expect("stdin is piped");
        writeln!(orders, "{order}").expect("the guardian reads its orders");
        conversation.answer()
    }

    fn failure(&self, what: &str) -> String {
        let bytes = fs::read(self.folder.join("server.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        let mut message = format!("{} {what}; the end of its log:", self.server);
        for line in tail {
            let _ = write!(message, "\n  {line}");
        }
        message
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        let conversation = self.conversation.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Waiting closes the guardian's stdin first.
        let _ = conversation.process.wait();
    }
}

impl Conversation {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the guardian answers in text");
        line.trim_end().to_owned()
    }
}
