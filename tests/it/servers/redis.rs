//! A private Redis.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::guardian::{Guardian, NotUp, launch, shell_quoted};
use super::{find_program, free_port, random_token};

const LAST_SIGNAL: &str = "KILL";

#[derive(Clone)]
struct Programs {
    server: PathBuf,
    client: PathBuf,
}

/// A running server that asks for a password.
pub(crate) struct Redis {
    guardian: Guardian,
    programs: Programs,
    pub(crate) port: u16,
    pub(crate) password: String,
}

impl Redis {
    /// The server of all tests.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Redis, String>> = OnceLock::new();
        let programs = Programs::find()?;
        let server = SHARED.get_or_init(|| launch(|| Self::attempt(&programs, &[])));
        Some(server.as_ref().unwrap_or_else(|failure| panic!("{failure}")))
    }

    /// A server of this test alone.
    pub(crate) fn dedicated() -> Option<Self> {
        Self::with_arguments(&[])
    }

    /// A server of this test alone with more settings, as in `["--maxmemory", "1mb"]`.
    pub(crate) fn with_arguments(arguments: &[&str]) -> Option<Self> {
        let programs = Programs::find()?;
        let server = launch(|| Self::attempt(&programs, arguments));
        Some(server.unwrap_or_else(|failure| panic!("{failure}")))
    }

    fn attempt(programs: &Programs, arguments: &[&str]) -> Result<Self, NotUp> {
        let guardian = Guardian::new("redis", LAST_SIGNAL);
        let (port, password) = (free_port(), random_token());
        // With a save point, a server that is stopped saves its data.
        let settings = format!(
            "bind 127.0.0.1
            port {port}
            requirepass {password}
            save 3600 1
            repl-diskless-sync-delay 0"
        );
        guardian.write("redis.conf", &settings);
        let program = shell_quoted(&programs.server.to_string_lossy());
        let arguments: Vec<String> = arguments.iter().copied().map(shell_quoted).collect();
        let arguments = arguments.join(" ");
        guardian.write("run", &format!("exec {program} ./redis.conf {arguments}"));
        let server = Self { guardian, programs: programs.clone(), port, password };
        server.guardian.start(|| server.is_ready())?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        let Self { port, password, .. } = self;
        format!("redis://:{password}@127.0.0.1:{port}/0")
    }

    /// The answer to a command, as `redis-cli` prints it: errors too, one line an element.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let mut client = Command::new(&self.programs.client);
        client.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(words);
        let output = client.env("REDISCLI_AUTH", &self.password).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(super) fn folder(&self) -> &Path {
        self.guardian.folder()
    }

    /// Ends all connections and the server; the data stays.
    pub(crate) fn stop(&self) {
        self.guardian.stop("TERM");
    }

    /// Starts a stopped server again, on the same port and data.
    pub(crate) fn start(&self) {
        self.guardian.restart(|| self.is_ready());
    }

    fn is_ready(&self) -> bool {
        // The password makes sure that it is this server that answers.
        self.command(&["PING"]) == "PONG"
    }
}

impl Programs {
    fn find() -> Option<Self> {
        let server = find_program("redis-server", &[])?;
        Some(Self { server, client: find_program("redis-cli", &[])? })
    }
}
