//! Private servers for the tests, each in a temporary folder on a free port of 127.0.0.1, gone
//! with the test process however that ends.
//!
//! `shared()` starts one server of a kind for all tests, when the first one asks for it. A test
//! that stops, breaks or fills a server takes a `dedicated()` one. Both return `None` when the
//! server's programs are not installed, after saying so:
//!
//! ```ignore
//! let Some(postgres) = Postgres::shared() else { return };
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test environment that fails panics")]

mod guardian;
mod pgbouncer;
mod postgres;
mod rabbitmq;
mod redis;
mod tests;

pub(crate) use pgbouncer::Pgbouncer;
pub(crate) use postgres::{Database, Postgres};
pub(crate) use rabbitmq::{Rabbitmq, Vhost};
pub(crate) use redis::Redis;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::thread;

/// Set by `make test`: then a missing program is a failure, or a forgotten package would make the
/// tests pass by running nothing.
const REQUIRE_SERVERS: &str = "HEALTH_EXPORTER_REQUIRE_SERVERS";

/// Finds a program in `folders` or else on the `PATH`.
fn find_program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path);
    let found = folders.iter().cloned().chain(on_path).map(|folder| folder.join(name));
    let found = found.into_iter().find(|candidate| candidate.is_file());
    if found.is_none() {
        report_missing(name);
    }
    found
}

pub(crate) fn report_missing(program: &str) {
    assert!(
        std::env::var_os(REQUIRE_SERVERS).is_none(),
        "{program} is not installed; `make test-deps` installs what the tests need"
    );
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("skipped: {test} needs {program} (run `make test`)\n");
    // Not eprintln!, whose output is hidden for a test that passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Random hexadecimal digits, for names and passwords that need no escaping anywhere.
fn random_token() -> String {
    random_bytes::<12>().iter().fold(String::new(), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut source = File::open("/dev/urandom").expect("the system has /dev/urandom");
    source.read_exact(&mut bytes).expect("/dev/urandom never ends");
    bytes
}

/// A port below those that the kernel gives to outgoing connections, so that a stopped server
/// finds its port free when it starts again.
fn free_port() -> u16 {
    loop {
        let port = 15_000 + u16::from_le_bytes(random_bytes()) % 17_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
