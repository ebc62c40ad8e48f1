//! `rabbitmq`: a `RabbitMQ` broker, or another that speaks AMQP 0-9-1.

mod connection;
mod params;
mod probe;
mod refusal;

use crate::{
    check::{Built, Kind, KindConfiguration, Params, Shared, built},
    outcome::{Phase, Reason},
};

/// The row of the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "rabbitmq",
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
        Phase::Resolve,
        Phase::Connect,
        Phase::Tls,
        Phase::Auth,
        Phase::Query,
        Phase::RoundTrip,
    ],
    readings: &probe::READINGS,
    configuration: Some(KindConfiguration { schema: params::schema, build }),
};

fn build(params: Params<'_>, shared: &Shared) -> Built {
    let rabbitmq: params::RabbitmqParams = params.decode()?;
    let mut problems = rabbitmq.rules(&params);
    let opener = rabbitmq.opener(&params, shared).map_err(|wrong| problems.extend(wrong)).ok();
    match opener {
        Some(opener) => {
            built(problems, || probe::Rabbitmq::new(rabbitmq, opener, shared.runtime.clone()))
        }
        None => Err(problems),
    }
}

#[cfg(test)]
mod tests;
