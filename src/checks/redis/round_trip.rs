//! A key that is stored, read back and deleted.

use deadpool_redis::redis::{self, from_redis_value};

use super::{
    pool::Connection,
    refusal::{Refusal, judge, miscounted},
};
use crate::{
    check::ProbeContext,
    outcome::{Failure, Reason, Verdict},
    wire,
};

/// Keys of a round trip that was cut short are gone after so many seconds.
const KEY_LIFETIME_SECONDS: u32 = 60;

/// Stores a key of this run, reads it back and deletes it, in one go: when the answers do not
/// come in time, the key is deleted all the same.
pub(super) async fn round_trip(
    key_prefix: &str,
    connection: &mut Connection,
    context: &ProbeContext,
) -> Result<Verdict, Failure> {
    let nonce = wire::nonce();
    let key = format!("{key_prefix}{nonce}");
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
