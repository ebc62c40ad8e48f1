//! `redis`: a single Redis server, or one that speaks like it (Valkey, `KeyDB`).

mod address;
mod examine;
mod info;
mod memory;
mod params;
mod pool;
mod probe;
mod readings;
mod refusal;
mod round_trip;
mod server;

use crate::{
    check::{Built, Kind, KindConfiguration, Params, Shared, built},
    outcome::{Phase, Reason},
};

/// The row of the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "redis",
    remote: true,
    reasons: &[
        Reason::Dns,
        Reason::Connect,
        Reason::Tls,
        Reason::Auth,
        Reason::Pool,
        Reason::Protocol,
        Reason::Assertion,
        Reason::Threshold,
        Reason::Alarm,
        Reason::Config,
    ],
    phases: &[
        Phase::PoolWait,
        Phase::Resolve,
        Phase::Connect,
        Phase::Tls,
        Phase::Auth,
        Phase::Query,
        Phase::RoundTrip,
    ],
    readings: &readings::READINGS,
    configuration: Some(KindConfiguration { schema: params::schema, build }),
};

fn build(params: Params<'_>, shared: &Shared) -> Built {
    let redis: params::RedisParams = params.decode()?;
    let mut problems = redis.rules(&params);
    let server = redis.server(&params, shared).map_err(|wrong| problems.extend(wrong)).ok();
    let check = server.and_then(|server| {
        let made = probe::Redis::new(redis, server);
        made.map_err(|error| problems.push(params.problem("", error.to_string()))).ok()
    });
    match check {
        Some(check) => built(problems, || check),
        None => Err(problems),
    }
}

#[cfg(test)]
mod tests;
