//! `rabbitmq`: a `RabbitMQ` broker, or another that speaks AMQP 0-9-1.

mod address;
mod broker;
mod lane;
mod params;
mod probe;
mod queues;
mod refusal;
mod session;

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
    let broker = rabbitmq.broker(&params, shared).map_err(|wrong| problems.extend(wrong)).ok();
    match broker {
        Some(broker) => {
            built(problems, || probe::Rabbitmq::new(rabbitmq, broker, shared.runtime.clone()))
        }
        None => Err(problems),
    }
}

#[cfg(test)]
mod tests;
