//! How a `rabbitmq` check is configured.

use std::{collections::HashSet, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use crate::{check::Params, node::Problem, secret::Secret, units::Limits, wire::tls::TlsSettings};

/// Settings of a `rabbitmq` check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RabbitmqParams {
    /// Where the broker is: `amqp://[user[:password]@]host[:port][/vhost]`, or the same with
    /// `amqps://` for TLS. The virtual host is `/` when the URL names none; one in the URL is
    /// percent-encoded. Defaults: user and password `guest`, port 5672, with `amqps` 5671, and
    /// `?heartbeat=10`.
    pub(super) url: Secret,
    /// A file that holds the password; it is read anew before every login.
    #[serde(default)]
    pub(super) password_file: Option<PathBuf>,
    /// Settings of TLS; setting any turns TLS on. Default: off, unless `url` is `amqps://`.
    #[serde(default)]
    pub(super) tls: Option<TlsSettings>,
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

/// The longest name that AMQP can carry.
pub(super) const LONGEST_NAME: usize = 255;

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
}
