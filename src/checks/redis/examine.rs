//! What a server says about itself, and what that means.

use deadpool_redis::redis::{self, RedisError, Value, from_redis_value};

use super::{
    info::Info,
    params::{RedisParams, Role},
    pool::Connection,
    readings::{record, record_memory_limits},
    refusal::{CLUSTER, LINK_DOWN, LOADING, Refusal, SENTINEL, SYNCHRONISING, judge, miscounted},
};
use crate::{
    check::ProbeContext,
    outcome::{Failure, Reason, Verdict},
};

impl RedisParams {
    /// What the server says about itself.
    pub(super) async fn examine(
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
            _ => record(&info, context),
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
            Refusal::NotPermitted(_) if self.role == Role::Any => {
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
        let expected = match self.role {
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
            (info.memory_ratio(), self.memory_ratio.under(info.policy()))
        {
            record_memory_limits(&limits, context);
            let memory = "memory used of maxmemory";
            verdict =
                verdict.and(Verdict::above(memory, ratio, &limits, |ratio| ratio.to_string()));
        }
        if let (Some(ratio), Some(limits)) = (info.clients_ratio(), &self.clients_ratio) {
            let clients = "clients connected of maxclients";
            verdict =
                verdict.and(Verdict::above(clients, ratio, limits, |ratio| ratio.to_string()));
        }
        Ok(verdict)
    }
}

/// Whether a server takes writes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Writes {
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
