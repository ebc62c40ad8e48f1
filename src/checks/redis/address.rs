//! From the keys that describe a connection to the server that they mean.

use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::{
    params::RedisParams,
    server::{Address, Login, Server},
};
use crate::{
    check::{Params, Shared, Target},
    node::Problem,
    secret::{Secret, SecretSource},
    wire::stream::TlsClient,
};

const EXPECTED_URL: &str =
    "expected redis://[user[:password]@]host[:port][/database], rediss://… or unix:///path";

const SCHEMES: [&str; 7] =
    ["redis", "rediss", "valkey", "valkeys", "unix", "redis+unix", "valkey+unix"];

impl RedisParams {
    /// The server that is described.
    pub(super) fn server(
        &self,
        params: &Params<'_>,
        shared: &Shared,
    ) -> Result<Server, Vec<Problem>> {
        let url = self.parse_url(params)?;
        let mut problems = Vec::new();
        let mut keep = |problem: Vec<Problem>| problems.extend(problem);
        let login = self.login(&url, params).map_err(&mut keep).ok();
        let database = self.database(&url, params).map_err(&mut keep).ok();
        let address = self.address(&url, params, shared).map_err(&mut keep).ok();
        match (login, database, address) {
            (Some(login), Some(database), Some(address)) => {
                let target = target(&address, database);
                Ok(Server { wire: shared.wire.clone(), address, login, database, target })
            }
            _ => Err(problems),
        }
    }

    /// Messages about the text of the URL name no part of it but the scheme: it may hold a password.
    fn parse_url(&self, params: &Params<'_>) -> Result<ConnectionInfo, Vec<Problem>> {
        let text = self.url.expose();
        let wrong = |message: String| Err(vec![params.problem("url", message)]);
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        if scheme.contains("sentinel") || scheme.contains("cluster") {
            let message = "expected the address of one server: clusters and sentinels are not \
                           supported, make a check of each server";
            return wrong(message.to_owned());
        }
        let authority = text.split("://").nth(1).unwrap_or(text);
        let hosts = authority.split(['/', '?']).next().and_then(|part| part.rsplit('@').next());
        if hosts.is_some_and(|hosts| hosts.contains(',')) {
            return wrong("expected one host, found several: make a check of each server".into());
        }
        if text.contains('#') {
            let message = "expected no `#`: write `%23` in a password, and `tls: {insecure: true}` \
                           to accept any certificate";
            return wrong(message.to_owned());
        }
        match text.into_connection_info() {
            Ok(url) => Ok(url),
            Err(_) if SCHEMES.contains(&scheme) => {
                wrong(format!("{EXPECTED_URL}, found something else after `{scheme}://`"))
            }
            Err(_) => wrong(format!("{EXPECTED_URL}, found another scheme or none")),
        }
    }

    fn login(&self, url: &ConnectionInfo, params: &Params<'_>) -> Result<Login, Vec<Problem>> {
        let (user, password) = (url.redis_settings().username(), url.redis_settings().password());
        let mut problems = Vec::new();
        if user.is_some() && self.username.is_some() {
            let message = "expected only one of `username` and a user in `url`";
            problems.push(params.problem("username", message));
        }
        if password.is_some() && self.password_file.is_some() {
            let message = "expected only one of `password_file` and a password in `url`";
            problems.push(params.problem("password_file", message));
        }
        let file = params.secret("password", None, self.password_file.as_deref());
        match file {
            Ok(file) if problems.is_empty() => Ok(Login {
                user: self.username.clone().or(user.map(str::to_owned)),
                password: file.or(password.map(|text| SecretSource::Inline(Secret::new(text)))),
            }),
            Ok(_) => Err(problems),
            Err(unreadable) => Err(problems.into_iter().chain(unreadable).collect()),
        }
    }

    fn database(&self, url: &ConnectionInfo, params: &Params<'_>) -> Result<u32, Vec<Problem>> {
        match (u32::try_from(url.redis_settings().db()), self.database) {
            (Err(_), _) => {
                let message = "expected a database from 0 to 4294967295";
                Err(vec![params.problem("url", message)])
            }
            (Ok(0), database) => Ok(database.unwrap_or(0)),
            (Ok(database), None) => Ok(database),
            (Ok(_), Some(_)) => {
                let message = "expected only one of `database` and a database in `url`";
                Err(vec![params.problem("database", message)])
            }
        }
    }

    fn address(
        &self,
        url: &ConnectionInfo,
        params: &Params<'_>,
        shared: &Shared,
    ) -> Result<Address, Vec<Problem>> {
        let wrong = |key: &str, message: &str| Err(vec![params.problem(key, message)]);
        let (host, port, secure) = match url.addr() {
            ConnectionAddr::Tcp(host, port) => (host, *port, self.tls.is_some()),
            ConnectionAddr::TcpTls { host, port, .. } => (host, *port, true),
            ConnectionAddr::Unix(path) if self.tls.is_none() => {
                return Ok(Address::Unix(path.clone()));
            }
            ConnectionAddr::Unix(_) => {
                return wrong("tls", "expected no TLS on the socket that `url` names");
            }
            _ => return wrong("url", EXPECTED_URL),
        };
        let settings = self.tls.clone().unwrap_or_default();
        let tls = secure
            .then(|| TlsClient::new(&shared.wire, &settings, host, |path| params.resolve(path)))
            .transpose()
            .map_err(|tls| vec![params.problem(&format!("tls.{}", tls.key), tls.message)])?;
        Ok(Address::Tcp { host: host.clone(), port, tls })
    }
}

fn target(address: &Address, database: u32) -> Target {
    match address {
        Address::Unix(path) => {
            let path = path.display();
            Target { host: format!("unix:{path}"), display: format!("unix://{path}?db={database}") }
        }
        Address::Tcp { host, port, tls } => {
            let host = if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            let scheme = if tls.is_some() { "rediss" } else { "redis" };
            let display = format!("{scheme}://{host}/{database}");
            Target { host, display }
        }
    }
}
