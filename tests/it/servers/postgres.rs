//! A private `PostgreSQL`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

use tokio_postgres::NoTls;

use super::guardian::{Guardian, NotUp, launch, shell_quoted};
use super::{find_program, free_port, random_token};

const SUPERUSER: &str = "postgres";

/// At the end the data is not needed, so there is no checkpoint to wait for.
const LAST_SIGNAL: &str = "QUIT";

struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
    pg_basebackup: PathBuf,
}

/// A running server; its superuser is `postgres`.
pub(crate) struct Postgres {
    guardian: Guardian,
    port: u16,
    superuser_password: String,
}

/// A database of one test, and the role that owns it.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) password: String,
    pub(crate) port: u16,
}

impl Postgres {
    /// The server of all tests.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
        let programs = Programs::find()?;
        let server = SHARED.get_or_init(|| launch(|| Self::attempt(&programs)));
        Some(server.as_ref().unwrap_or_else(|failure| panic!("{failure}")))
    }

    /// A server of this test alone.
    pub(crate) fn dedicated() -> Option<Self> {
        let programs = Programs::find()?;
        Some(launch(|| Self::attempt(&programs)).unwrap_or_else(|failure| panic!("{failure}")))
    }

    /// A server that streams from this one and answers reading statements.
    pub(crate) fn replica(&self) -> Option<Self> {
        let programs = Programs::find()?;
        let attempt =
            || Self::set_up(&self.superuser_password, |port| programs.replica(self.port, port));
        Some(launch(attempt).unwrap_or_else(|failure| panic!("{failure}")))
    }

    fn attempt(programs: &Programs) -> Result<Self, NotUp> {
        Self::set_up(&random_token(), |port| programs.primary(port))
    }

    fn set_up(superuser_password: &str, script: impl Fn(u16) -> String) -> Result<Self, NotUp> {
        let guardian = Guardian::new("postgres", LAST_SIGNAL);
        let superuser_password = superuser_password.to_owned();
        let server = Self { guardian, port: free_port(), superuser_password };
        server.guardian.write("password", &server.superuser_password);
        server.guardian.write("run", &script(server.port));
        server.guardian.start(|| server.is_ready())?;
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server's Unix socket.
    pub(crate) fn socket_dir(&self) -> &Path {
        self.guardian.folder()
    }

    pub(crate) fn superuser_url(&self) -> String {
        let (password, port) = (&self.superuser_password, self.port);
        format!("postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres")
    }

    /// Runs one statement as the superuser in the database `postgres`.
    pub(crate) fn execute(&self, statement: &str) {
        execute(&self.superuser_url(), statement)
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }

    pub(crate) fn create_database(&self) -> Database {
        let unique = random_token();
        let (name, owner) = (format!("db_{unique}"), format!("owner_{unique}"));
        let password = random_token();
        self.execute(&format!("CREATE ROLE {owner} LOGIN PASSWORD '{password}'"));
        self.execute(&format!("CREATE DATABASE {name} OWNER {owner}"));
        Database { name, owner, password, port: self.port }
    }

    /// Ends all connections and the server; the data stays.
    pub(crate) fn stop(&self) {
        self.guardian.stop("INT");
    }

    /// Starts a stopped server again, on the same port and data.
    pub(crate) fn start(&self) {
        self.guardian.restart(|| self.is_ready());
    }

    fn is_ready(&self) -> bool {
        // The password makes sure that it is this server that answers.
        execute(&self.superuser_url(), "SELECT 1").is_ok()
    }
}

impl Database {
    /// Connects as the owner of the database.
    pub(crate) fn url(&self) -> String {
        let Self { name, owner, password, port } = self;
        format!("postgresql://{owner}:{password}@127.0.0.1:{port}/{name}")
    }

    /// Runs statements as the owner.
    pub(crate) fn execute(&self, statements: &str) {
        execute(&self.url(), statements).unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    /// Whether the owner gets an answer from the database.
    pub(super) fn answers(&self) -> bool {
        execute(&self.url(), "SELECT 1").is_ok()
    }
}

impl Programs {
    fn find() -> Option<Self> {
        let folders = debian_folders();
        let find = |name| find_program(name, &folders);
        let (initdb, postgres) = (find("initdb")?, find("postgres")?);
        Some(Self { initdb, postgres, pg_basebackup: find("pg_basebackup")? })
    }

    fn primary(&self, port: u16) -> String {
        let initdb = shell_quoted(&self.initdb.to_string_lossy());
        let fill = format!(
            "{initdb} --pgdata=new --auth=scram-sha-256 --username={SUPERUSER} \\
                --pwfile=password --encoding=UTF8 --locale=C --no-sync --no-instructions"
        );
        self.script(&fill, port)
    }

    fn replica(&self, primary_port: u16, port: u16) -> String {
        let pg_basebackup = shell_quoted(&self.pg_basebackup.to_string_lossy());
        let fill = format!(
            "PGPASSWORD=$(cat password) {pg_basebackup} --pgdata=new --host=127.0.0.1 \\
                --port={primary_port} --username={SUPERUSER} --write-recovery-conf \\
                --checkpoint=fast --no-sync"
        );
        self.script(&fill, port)
    }

    /// `fill` makes the data folder `new`.
    fn script(&self, fill: &str, port: u16) -> String {
        let postgres = shell_quoted(&self.postgres.to_string_lossy());
        format!(
            "set -e
            if [ ! -d data ]; then
                # An initdb that is cut short leaves shared memory behind.
                trap 'exit 1' QUIT
                {fill}
                trap - QUIT
                mv new data
            fi
            exec {postgres} -D data -c listen_addresses=127.0.0.1 -c port={port} \\
                -c unix_socket_directories=\"$PWD\" -c max_connections=100 -c wal_level=replica \\
                -c fsync=off -c full_page_writes=off -c shared_buffers=16MB \\
                -c dynamic_shared_memory_type=mmap"
        )
    }
}

/// Debian keeps the server's programs of each version off the `PATH`; the newest comes first.
fn debian_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<u32> =
        versions.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable_by(|left, right| right.cmp(left));
    let folder = |version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"));
    versions.into_iter().map(folder).collect()
}

fn execute(url: &str, statement: &str) -> Result<(), tokio_postgres::Error> {
    let session = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let result = client.batch_execute(statement).await;
        drop(client);
        let _ = connection.await;
        result
    };
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(session)
    };
    // A thread of its own, because the caller may be in an asynchronous test, which must not
    // block on a second runtime.
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}
