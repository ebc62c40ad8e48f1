//! One run of a `redis` check.

use async_trait::async_trait;
use deadpool::managed::BuildError;
use deadpool_redis::redis::{self, RedisError, Value, from_redis_value};

use super::{
    connection::{Connection, Opener, Pool, take},
    info::{Info, record_client_limits, record_memory_limits},
    params::{RedisParams, Role},
    refusal::{CLUSTER, LINK_DOWN, LOADING, Refusal, SENTINEL, SYNCHRONISING, judge},
};
use crate::{
    check::{Check, ProbeContext, Target},
    outcome::{Failure, Phase, Reason, Verdict},
    wire,
};

/// Keys of a round trip that was cut short are gone after so many seconds.
const KEY_LIFETIME_SECONDS: u32 = 60;

pub(super) struct Redis {
    params: RedisParams,
    pool: Pool,
}

impl Redis {
    pub(super) fn new(params: RedisParams, opener: Opener) -> Result<Self, BuildError> {
        Ok(Self { params, pool: opener.into_pool()? })
    }

    /// What the server says about itself.
    async fn examine(
        &self,
        connection: &mut Connection,
        context: &ProbeContext,
    ) -> Result<(Verdict, Writes), Failure> {
        let mut commands = redis::pipe();
        commands.cmd("PING").cmd("INFO");
        let answers = connection.ask(&mut commands, context.remaining()).await?;
        let [ping, info] = <[_; 2]>::try_from(answers).map_err(|_| miscounted())?;
        let info = match info.map(from_redis_value::<Vec<u8>>) {
            Ok(Ok(info)) => info,
            Ok(Err(error)) => {
                return Err(Failure::new(Reason::Protocol, "the answer to INFO is not a text")
                    .with_source(error));
            }
            Err(error) => return self.without_info(ping, error, context),
        };
        let info = String::from_utf8_lossy(&info);
        let info = Info::parse(&info)?;
        match info.mode() {
            Some("cluster") => return Err(Failure::new(Reason::Config, CLUSTER)),
            Some("sentinel") => return Err(Failure::new(Reason::Config, SENTINEL)),
            _ => info.record(context),
        }
        let verdict = self.judge(&info, context)?.and(pinged(ping)?);
        let writes = if info.role() == Some("replica") { Writes::Refused } else { Writes::Taken };
        Ok((verdict, writes))
    }

    /// Without the right to `INFO` the server can still be pinged and written to.
    fn without_info(
        &self,
        ping: Result<Value, RedisError>,
        error: RedisError,
        context: &ProbeContext,
    ) -> Result<(Verdict, Writes), Failure> {
        match judge("INFO", error) {
            Refusal::NotPermitted(_) if self.params.role == Role::Any => {
                context.detail("limited", "no right to INFO, which tells role, memory and clients");
                Ok((pinged(ping)?, Writes::Taken))
            }
            Refusal::NotPermitted(failure) => Err(Failure {
                message: "the user has no right to INFO, which tells the role".to_owned(),
                ..failure
            }),
            Refusal::Unwell(verdict) => Ok((verdict, Writes::Refused)),
            Refusal::Locked(failure) | Refusal::Other(failure) => Err(failure),
        }
    }

    fn judge(&self, info: &Info<'_>, context: &ProbeContext) -> Result<Verdict, Failure> {
        if info.is_loading() {
            return Ok(Verdict::unhealthy(Reason::Assertion, LOADING));
        }
        let expected = match self.params.role {
            Role::Any => None,
            Role::Master => Some("master"),
            Role::Replica => Some("replica"),
        };
        let mut verdict = match (expected, info.role()) {
            (Some(_), None) => {
                return Err(Failure::new(Reason::Protocol, "the answer to INFO names no role"));
            }
            (Some(expected), Some(role)) if role != expected => {
                let message = format!("the server is not the {expected} that it should be");
                Verdict::unhealthy(Reason::Assertion, message)
            }
            _ => Verdict::Healthy,
        };
        if info.link_is_up() == Some(false) {
            let message = if info.is_synchronising() { SYNCHRONISING } else { LINK_DOWN };
            verdict = verdict.and(Verdict::unhealthy(Reason::Assertion, message));
        }
        if let Some(message) = info.failed_persistence() {
            verdict = verdict.and(Verdict::degraded(Reason::Alarm, message));
        }
        if let (Some(ratio), Some(limits)) =
            (info.memory_ratio(), self.params.memory_ratio.under(info.policy()))
        {
            record_memory_limits(&limits, context);
            let memory = "memory used of maxmemory";
            verdict =
                verdict.and(Verdict::above(memory, ratio, &limits, |ratio| ratio.to_string()));
        }
        if let (Some(ratio), Some(limits)) = (info.clients_ratio(), &self.params.clients_ratio) {
            let clients = "clients connected of maxclients";
            verdict =
                verdict.and(Verdict::above(clients, ratio, limits, |ratio| ratio.to_string()));
        }
        Ok(verdict)
    }

    /// Stores a key of this run, reads it back and deletes it, in one go: when the answers do not
    /// come in time, the key is deleted all the same.
    async fn round_trip(
        &self,
        connection: &mut Connection,
        context: &ProbeContext,
    ) -> Result<Verdict, Failure> {
        let nonce = wire::nonce();
        let key = format!("{}{nonce}", self.params.key_prefix);
        let mut commands = redis::pipe();
        commands.cmd("SET").arg(&key).arg(&nonce).arg("EX").arg(KEY_LIFETIME_SECONDS);
        commands.cmd("GET").arg(&key).cmd("DEL").arg(&key);
        let answers = connection.ask(&mut commands, context.remaining()).await?;
        let [set, get, del] = <[_; 3]>::try_from(answers).map_err(|_| miscounted())?;
        let mut read_back = None;
        for (command, answer) in [("SET", set), ("GET", get), ("DEL", del)] {
            match answer.map_err(|error| judge(command, error)) {
                Ok(value) if command == "GET" => read_back = from_redis_value(value).ok(),
                Ok(_) => {}
                Err(Refusal::Unwell(verdict)) => return Ok(verdict),
                Err(Refusal::NotPermitted(failure)) => {
                    let message = format!(
                        "the round trip needs the right to {command} on keys that begin with \
                         `key_prefix`, or `round_trip: false`"
                    );
                    return Err(Failure { message, ..failure });
                }
                Err(Refusal::Locked(failure) | Refusal::Other(failure)) => return Err(failure),
            }
        }
        if read_back.as_ref() == Some(&nonce) {
            Ok(Verdict::Healthy)
        } else {
            Ok(Verdict::unhealthy(Reason::Assertion, "a value that was stored was not read back"))
        }
    }
}

/// Whether a server takes writes.
#[derive(Clone, Copy, PartialEq)]
enum Writes {
    Taken,
    Refused,
}

fn pinged(answer: Result<Value, RedisError>) -> Result<Verdict, Failure> {
    match answer.map_err(|error| judge("PING", error)) {
        // Who may not ping has got an answer all the same.
        Ok(_) | Err(Refusal::NotPermitted(_)) => Ok(Verdict::Healthy),
        Err(Refusal::Unwell(verdict)) => Ok(verdict),
        Err(Refusal::Locked(failure) | Refusal::Other(failure)) => Err(failure),
    }
}

fn miscounted() -> Failure {
    Failure::new(Reason::Protocol, "the server gave another number of answers than expected")
}

#[async_trait]
impl Check for Redis {
    fn target(&self) -> Option<&Target> {
        Some(self.pool.manager().target())
    }

    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        if let Some(limits) = &self.params.clients_ratio {
            record_client_limits(limits, context);
        }
        let mut connection = take(&self.pool, context).await?;
        context.phase(Phase::Query);
        let (verdict, writes) = self.examine(&mut connection, context).await?;
        if !self.params.round_trip || matches!(verdict, Verdict::Unhealthy(_)) {
            return Ok(verdict);
        }
        if writes == Writes::Refused {
            context.detail("round_trip", "left out: a replica takes no writes");
            return Ok(verdict);
        }
        context.phase(Phase::RoundTrip);
        Ok(verdict.and(self.round_trip(&mut connection, context).await?))
    }
}
