//! How a `rabbitmq` check is configured.

use std::{collections::HashSet, path::PathBuf};

use lapin::uri::{AMQPScheme, AMQPUri};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::connection::Opener;
use crate::{
    check::{Params, Shared, Target},
    node::Problem,
    secret::{Secret, SecretSource},
    units::Limits,
    wire::{stream::TlsClient, tls::TlsSettings},
};

/// Settings of a `rabbitmq` check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RabbitmqParams {
    /// Where the broker is: `amqp://[user[:password]@]host[:port][/vhost]`, or the same with
    /// `amqps://` for TLS. The virtual host is `/` when the URL names none; one in the URL is
    /// percent-encoded. Defaults: user and password `guest`, port 5672, with `amqps` 5671, and
    /// `?heartbeat=10`.
    url: Secret,
    /// A file that holds the password; it is read anew before every login.
    #[serde(default)]
    password_file: Option<PathBuf>,
    /// Settings of TLS; setting any turns TLS on. Default: off, unless `url` is `amqps://`.
    #[serde(default)]
    tls: Option<TlsSettings>,
    /// Queues that must exist, and how full they may be. Default: none.
    #[serde(default)]
    pub(super) queues: Vec<QueueParams>,
    /// Whether a message is to be published, confirmed and consumed, over a queue of the check's
    /// own that nobody else sees and that goes with its connection. Without it an alarm of the
    /// broker goes unnoticed. Default: true.
    #[serde(default = "on")]
    pub(super) round_trip: bool,
}

/// A queue that must exist.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueParams {
    /// The name of the queue.
    pub(super) name: String,
    /// Upper limits of the number of messages that wait for a consumer; null = off. Default: off.
    #[serde(default)]
    pub(super) messages_ready: Option<Limits<u32>>,
    /// Lower limits of the number of consumers, `critical: 1` for instance; null = off. Default:
    /// off.
    #[serde(default)]
    pub(super) consumers: Option<Limits<u32>>,
}

pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<RabbitmqParams>()
}

fn on() -> bool {
    true
}

/// A heartbeat every so many seconds, unless `url` says otherwise: a broker that cannot be
/// reached any more is noticed between runs, and one that has raised an alarm, which makes it
/// read nothing from us, notices that we are gone.
const HEARTBEAT_SECONDS: u16 = 10;

/// Longer ones would let a broker in need collect our dead connections, one a run.
const HEARTBEATS: std::ops::RangeInclusive<u16> = 1..=60;

/// The smallest frames that every broker agrees to; lapin reserves 64 of them for a connection.
const FRAME_BYTES: u32 = 8_192;

/// The longest name that AMQP can carry.
const LONGEST_NAME: usize = 255;

const EXPECTED_URL: &str =
    "expected amqp://[user[:password]@]host[:port][/vhost] or the same with amqps://";

impl RabbitmqParams {
    /// What is wrong with the queues.
    pub(super) fn rules(&self, params: &Params<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut names = HashSet::new();
        for (index, queue) in self.queues.iter().enumerate() {
            let mut wrong = |key: &str, message: &str| {
                problems.push(params.problem(&format!("queues[{index}].{key}"), message));
            };
            if queue.name.is_empty() || queue.name.len() > LONGEST_NAME {
                wrong("name", "expected 1 to 255 bytes");
            }
            if !names.insert(&queue.name) {
                wrong("name", "expected every queue once, found it a second time");
            }
            if !queue.messages_ready.is_none_or(|limits| limits.rise()) {
                wrong("messages_ready", "expected a warning that is not above critical");
            }
            if !queue.consumers.is_none_or(|limits| limits.fall()) {
                wrong("consumers", "expected a warning that is not below critical");
            }
        }
        problems
    }

    /// What opens the connection that is described.
    pub(super) fn opener(
        &self,
        params: &Params<'_>,
        shared: &Shared,
    ) -> Result<Opener, Vec<Problem>> {
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
                Ok(Opener { uri, password, wire: shared.wire.clone(), tls, target })
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
