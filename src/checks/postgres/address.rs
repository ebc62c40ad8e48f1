//! Where the server is, and who we are there.

use std::{net::IpAddr, time::Duration};

use tokio_postgres::{Config, config::Host};

use super::params::{PostgresParams, SslMode};
use crate::check::Target;

/// Everything about the connection that the configuration fixes, but for its encryption.
#[derive(Debug)]
pub(super) struct Address {
    /// Everything but the host, with the password when the URL holds one.
    pub(super) config: Config,
    /// A name, an address, or the folder of a Unix socket.
    pub(super) host: Host,
    /// What is shown.
    pub(super) target: Target,
    /// Whether the host is a Unix socket.
    pub(super) is_socket: bool,
    /// The mode that the URL asks for.
    pub(super) sslmode: Option<SslMode>,
}

/// A key, and what is wrong with it.
pub(super) type KeyProblem = (&'static str, String);

impl Address {
    /// The address that `url`, or else the single keys, describe.
    pub(super) fn new(params: &PostgresParams) -> Result<Self, Vec<KeyProblem>> {
        let mut problems = Vec::new();
        let keys = [
            ("host", params.host.is_some()),
            ("port", params.port.is_some()),
            ("user", params.user.is_some()),
            ("database", params.database.is_some()),
        ];
        let (config, sslmode) = if let Some(url) = &params.url {
            let beside = keys.iter().filter(|(_, set)| *set);
            problems.extend(beside.map(|(key, _)| problem(key, "expected it in `url`, not here")));
            match from_url(url.expose()) {
                Ok(parsed) => parsed,
                Err(message) => {
                    problems.push(("url", message));
                    return Err(problems);
                }
            }
        } else if keys.iter().any(|(_, set)| *set) {
            (from_keys(params), None)
        } else {
            return Err(vec![problem("", "expected `url`, or `host`, `user` and `database`")]);
        };
        let key = |key| if params.url.is_some() { "url" } else { key };
        if config.get_user().is_none_or(str::is_empty) {
            problems.push(problem(key("user"), "expected a user, found none"));
        }
        let database = config.get_dbname().unwrap_or_default().to_owned();
        if database.is_empty() {
            problems.push(problem(key("database"), "expected a database, found none"));
        }
        let port = match config.get_ports() {
            [] => 5432,
            [0] => {
                problems.push(problem(key("port"), "expected a port from 1 to 65535, found `0`"));
                0
            }
            [port, ..] => *port,
        };
        let place = place(config.get_hosts(), port).map_err(|message| match &params.url {
            // The host is not repeated: what follows an unescaped `@` of a password ends up there.
            Some(_) if message == NOT_A_HOST => problem("url", NOT_A_HOST_OF_URL),
            _ => problem(key("host"), message),
        });
        let (host, place, is_socket) = match place {
            Ok(place) if problems.is_empty() => place,
            Ok(_) => return Err(problems),
            Err(message) => {
                problems.push(message);
                return Err(problems);
            }
        };
        let scheme = if is_socket { "unix:" } else { "postgres://" };
        let target = Target { display: format!("{scheme}{place}/{database}"), host: place };
        Ok(Self { config: without_host(&config, port), host, is_socket, target, sslmode })
    }
}

fn problem(key: &'static str, message: &str) -> KeyProblem {
    (key, message.to_owned())
}

fn from_keys(params: &PostgresParams) -> Config {
    let mut config = Config::new();
    if let Some(host) = &params.host {
        config.host(host);
    }
    if let Some(user) = &params.user {
        config.user(user);
    }
    if let Some(database) = &params.database {
        config.dbname(database);
    }
    config.port(params.port.unwrap_or(5432));
    config
}

/// Takes `sslmode` out of the URL, since the driver does not know every mode, and leaves the rest
/// to the driver.
fn from_url(url: &str) -> Result<(Config, Option<SslMode>), String> {
    const EXPECTED: &str = "expected a URL such as postgres://user@host:5432/database";
    const KEPT: [&str; 3] = ["application_name", "host", "port"];
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(EXPECTED.to_owned());
    }
    // Like the driver: what stands before the first `@` is user and password.
    let login = url.find('@').unwrap_or(0);
    let query = url[login..].find('?').map(|at| login + at);
    let (base, query) = query.map_or((url, ""), |at| (&url[..at], &url[at + 1..]));
    let (mut kept, mut sslmode) = (Vec::new(), None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", word)) => sslmode = Some(mode(word)?),
            Some((key, _)) if KEPT.contains(&key) => kept.push(pair),
            _ => {
                let known = "`sslmode`, `application_name`, `host` and `port`";
                return Err(format!("expected only {known} after the `?`"));
            }
        }
    }
    let config = format!("{base}?{}", kept.join("&")).parse().map_err(|_| EXPECTED)?;
    Ok((config, sslmode))
}

fn mode(word: &str) -> Result<SslMode, String> {
    let known = SslMode::ALL.iter().find(|(known, _)| *known == word);
    known.map(|(_, mode)| *mode).ok_or_else(|| {
        let words = SslMode::ALL.map(|(word, _)| word).join(", ");
        format!("expected `sslmode` to be one of {words}")
    })
}

const NOT_A_HOST: &str = "expected the name or address of a host, without a port";
const NOT_A_HOST_OF_URL: &str = "expected the name or address of a host; in a password, `@`, `:` \
                                 and `/` are written %40, %3A and %2F";

/// What is connected to, how it is shown, and whether it is a Unix socket.
fn place(hosts: &[Host], port: u16) -> Result<(Host, String, bool), &'static str> {
    let [host] = hosts else {
        let several = "expected one host, found several; make a check of each";
        return Err(if hosts.is_empty() { "expected a host, found none" } else { several });
    };
    let (place, is_socket) = match host {
        Host::Tcp(name) => match name.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => (format!("[{name}]:{port}"), false),
            Err(_) if !is_host_name(name) => return Err(NOT_A_HOST),
            _ => (format!("{name}:{port}"), false),
        },
        #[cfg(unix)]
        Host::Unix(folder) => (format!("{}/.s.PGSQL.{port}", folder.display()), true),
    };
    Ok((host.clone(), place, is_socket))
}

fn is_host_name(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && name.len() <= 253 && name.chars().all(valid)
}

/// The rest of the settings. A connection waits idle for the next run, so the system has to find
/// out when the other side is gone without a word.
fn without_host(parsed: &Config, port: u16) -> Config {
    let mut config = Config::new();
    config
        .user(parsed.get_user().unwrap_or_default())
        .dbname(parsed.get_dbname().unwrap_or_default())
        .application_name(parsed.get_application_name().unwrap_or("health-exporter"))
        .port(port)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(10));
    if let Some(password) = parsed.get_password() {
        config.password(password);
    }
    config
}
