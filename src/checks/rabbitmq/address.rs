//! From the keys that describe a connection to the broker that they mean.

use lapin::uri::{AMQPScheme, AMQPUri};

use super::{
    broker::Broker,
    params::{LONGEST_NAME, RabbitmqParams},
};
use crate::{
    check::{Params, Shared, Target},
    node::Problem,
    secret::{Secret, SecretSource},
    wire::stream::TlsClient,
};

/// A heartbeat every so many seconds, unless `url` says otherwise: a broker that cannot be
/// reached any more is noticed between runs, and one that has raised an alarm, which makes it
/// read nothing from us, notices that we are gone.
const HEARTBEAT_SECONDS: u16 = 10;

/// Longer ones would let a broker in need collect our dead connections, one a run.
const HEARTBEATS: std::ops::RangeInclusive<u16> = 1..=60;

/// The smallest frames that every broker agrees to; lapin reserves 64 of them for a connection.
const FRAME_BYTES: u32 = 8_192;

const EXPECTED_URL: &str =
    "expected amqp://[user[:password]@]host[:port][/vhost] or the same with amqps://";

impl RabbitmqParams {
    /// The broker that is described.
    pub(super) fn broker(
        &self,
        params: &Params<'_>,
        shared: &Shared,
    ) -> Result<Broker, Vec<Problem>> {
        let (mut uri, password) = self.parse_url(params)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(FRAME_BYTES);
        let mut problems = Vec::new();
        if password.is_some() && self.password_file.is_some() {
            let message = "expected only one of `password_file` and a password in `url`";
            problems.push(params.problem("password_file", message));
        }
        let file = params.secret("password", None, self.password_file.as_deref());
        let file = file.map_err(|unreadable| problems.extend(unreadable)).ok().flatten();
        let inline = || SecretSource::Inline(password.unwrap_or_else(|| Secret::new("guest")));
        let password = file.unwrap_or_else(inline);
        let secure = self.tls.is_some() || uri.scheme == AMQPScheme::AMQPS;
        let settings = self.tls.clone().unwrap_or_default();
        let host = uri.authority.host.clone();
        let tls = secure
            .then(|| TlsClient::new(&shared.wire, &settings, &host, |path| params.resolve(path)))
            .transpose()
            .map_err(|tls| problems.push(params.problem(&format!("tls.{}", tls.key), tls.message)));
        match tls {
            Ok(tls) if problems.is_empty() => {
                let target = target(&uri, tls.is_some());
                Ok(Broker { uri, password, wire: shared.wire.clone(), tls, target })
            }
            _ => Err(problems),
        }
    }

    /// The URL without its password, and that. Messages about its text quote nothing of it.
    fn parse_url(&self, params: &Params<'_>) -> Result<(AMQPUri, Option<Secret>), Vec<Problem>> {
        let text = self.url.expose();
        let wrong = |message: &str| Err(vec![params.problem("url", message)]);
        let Some(("amqp" | "amqps", rest)) = text.split_once("://") else {
            return wrong(&format!("{EXPECTED_URL}, found another scheme or none"));
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if host.contains(',') {
            return wrong("expected one host, found several: make a check of each broker");
        }
        if text.contains('#') {
            return wrong("expected no `#`: write `%23` in a password or a virtual host");
        }
        let Ok(mut uri) = text.parse::<AMQPUri>() else {
            return wrong(&format!("{EXPECTED_URL}, found something else after the scheme"));
        };
        let host = match host.strip_prefix('[') {
            Some(address) => address.split(']').next(),
            None => host.split(':').next(),
        };
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return wrong(&format!("{EXPECTED_URL}, found no host"));
        };
        // What lapin makes of an IPv6 address is `localhost`.
        host.clone_into(&mut uri.authority.host);
        if uri.vhost.is_empty() {
            return wrong(
                "expected the name of a virtual host after the last `/`: leave the `/` away or \
                 write `/%2f` for the virtual host `/`",
            );
        }
        if uri.query.heartbeat.is_some_and(|seconds| !HEARTBEATS.contains(&seconds)) {
            return wrong(
                "expected a heartbeat from 1 to 60 seconds: without one, a broker that has raised \
                 an alarm does not notice that a connection is gone",
            );
        }
        if uri.vhost.len() > LONGEST_NAME {
            return wrong("expected at most 255 bytes in the name of the virtual host");
        }
        let password = std::mem::take(&mut uri.authority.userinfo.password);
        Ok((uri, user.contains(':').then(|| Secret::new(password))))
    }
}

fn target(uri: &AMQPUri, secure: bool) -> Target {
    let (host, port) = (&uri.authority.host, uri.authority.port);
    let host =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let scheme = if secure { "amqps" } else { "amqp" };
    let vhost = if uri.vhost == "/" { "%2f" } else { &*uri.vhost };
    let display = format!("{scheme}://{host}/{vhost}");
    Target { host, display }
}
