//! A private `PgBouncer`, the connection pooler in front of a database.

use super::guardian::{Guardian, launch, shell_quoted};
use super::postgres::Database;
use super::{find_program, free_port};

const LAST_SIGNAL: &str = "KILL";

/// A running pooler, used like the database behind it.
pub(crate) struct Pgbouncer {
    /// Kept for its end.
    _guardian: Guardian,
    url: String,
}

impl Pgbouncer {
    /// `pool_mode` is `session`, `transaction` or `statement`.
    pub(crate) fn in_front_of(database: &Database, pool_mode: &str) -> Option<Self> {
        let program = find_program("pgbouncer", &["/usr/sbin".into()])?;
        let program = shell_quoted(&program.to_string_lossy());
        let Database { name, owner, password, port: database_port } = database;
        let pooler = launch(|| {
            let guardian = Guardian::new("pgbouncer", LAST_SIGNAL);
            let port = free_port();
            let settings = format!(
                "[databases]\n\
                {name} = host=127.0.0.1 port={database_port}\n\
                [pgbouncer]\n\
                listen_addr = 127.0.0.1\n\
                listen_port = {port}\n\
                unix_socket_dir =\n\
                auth_type = scram-sha-256\n\
                auth_file = users.txt\n\
                pool_mode = {pool_mode}\n"
            );
            guardian.write("pgbouncer.ini", &settings);
            guardian.write("users.txt", &format!("\"{owner}\" \"{password}\"\n"));
            guardian.write("run", &format!("exec {program} pgbouncer.ini"));
            let pooled = Database { port, ..database.clone() };
            guardian.start(|| pooled.answers())?;
            Ok(Self { _guardian: guardian, url: pooled.url() })
        });
        Some(pooler.unwrap_or_else(|failure| panic!("{failure}")))
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
