//! `postgres`: a PostgreSQL server, spoken to directly or through PgBouncer.
//!
//! A run takes one connection, kept between runs, and needs one round trip to see that it still
//! works, one for the statistics, and one for each statement of the configuration.

mod address;
mod build;
mod connect;
mod custom;
mod expect;
mod failure;
mod params;
mod readings;
mod session;
mod statistics;
#[cfg(test)]
mod tests;
mod tls;

use async_trait::async_trait;
use deadpool_postgres::Pool;
use schemars::{Schema, SchemaGenerator};
use tokio::time::Instant;

use crate::{
    check::{Check, Kind, KindConfiguration, ProbeContext, Target},
    outcome::{Failure, Phase, Reason, Verdict, lossy},
    reading::ReadingDef,
    units::{Limits, Period, Ratio},
};
use build::Query;
use custom::CustomMetric;
use params::{PostgresParams, Role};
use session::{Session, Unanswered};
use statistics::Statistics;

/// The row of the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "postgres",
    remote: true,
    reasons: &[
        Reason::Timeout,
        Reason::Dns,
        Reason::Connect,
        Reason::Tls,
        Reason::Auth,
        Reason::Protocol,
        Reason::Assertion,
        Reason::Threshold,
        Reason::Alarm,
        Reason::Pool,
        Reason::Config,
    ],
    phases: &[
        Phase::PoolWait,
        Phase::Resolve,
        Phase::Connect,
        Phase::Tls,
        Phase::Auth,
        Phase::Query,
    ],
    readings: readings::ALL,
    configuration: Some(KindConfiguration { schema, build: build::build }),
};

fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<PostgresParams>()
}

struct Postgres {
    pool: Pool,
    tls_required: bool,
    target: Target,
    settings: PostgresParams,
    query: Option<Query>,
    metrics: Vec<CustomMetric>,
    families: Vec<ReadingDef>,
}

#[async_trait]
impl Check for Postgres {
    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }

    fn readings(&self) -> &[ReadingDef] {
        &self.families
    }

    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        self.read_configuration(context);
        let connection = connect::borrow(&self.pool, context, self.tls_required).await?;
        context.phase(Phase::Query);
        let began = Instant::now();
        let mut session = Session::new(connection, context);
        let statistics =
            Statistics::gather(&mut session, self.settings.database_size, context).await?;
        let mut verdict = self.judge(&statistics);
        if let Some(query) = &self.query {
            verdict = verdict.and(ask(&mut session, query).await?);
        }
        for metric in &self.metrics {
            let read = metric.read(&mut session, context).await?;
            let late = matches!(&read, Verdict::Degraded(found) if found.reason == Reason::Timeout);
            verdict = verdict.and(read);
            if late {
                break;
            }
        }
        context.end_phase();
        context.detail("query_seconds", began.elapsed().as_secs_f64());
        Ok(verdict)
    }
}

impl Postgres {
    /// What is known before anything is asked: limits, and the pool as the run finds it.
    fn read_configuration(&self, context: &ProbeContext) {
        let settings = &self.settings;
        let ratio = |ratio: Ratio| ratio.0;
        let seconds = |period: Period| period.0.as_secs_f64();
        read_limits(context, &readings::CONNECTIONS_THRESHOLD, settings.connections_ratio, ratio);
        read_limits(
            context,
            &readings::REPLICATION_LAG_THRESHOLD,
            settings.replication_lag,
            seconds,
        );
        read_limits(
            context,
            &readings::LONGEST_TRANSACTION_THRESHOLD,
            settings.longest_transaction,
            seconds,
        );
        self.metrics.iter().for_each(|metric| metric.read_thresholds(context));
        let pool = self.pool.status();
        let count = |count: usize| lossy(count as u64);
        context.read(&readings::POOL_CONNECTIONS, &["idle"], count(pool.available));
        context.read(&readings::POOL_CONNECTIONS, &["in_use"], count(pool.size - pool.available));
        context.read(&readings::POOL_MAX_CONNECTIONS, &[], count(pool.max_size));
        context.read(&readings::POOL_WAITING, &[], count(pool.waiting));
    }

    fn judge(&self, statistics: &Statistics) -> Verdict {
        let settings = &self.settings;
        let mut verdict = judge_role(settings.role, statistics);
        if let (Some(limits), Some(ratio)) =
            (&settings.connections_ratio, statistics.connections_ratio())
        {
            let show = |ratio: Ratio| ratio.to_string();
            verdict = verdict.and(Verdict::above("connections", Ratio(ratio), limits, show));
        }
        for (what, limits, time) in [
            ("replication lag", &settings.replication_lag, statistics.replication_lag),
            ("longest transaction", &settings.longest_transaction, statistics.longest_transaction),
        ] {
            if let (Some(limits), Some(time)) = (limits, time) {
                let show = |period: Period| period.to_string();
                verdict = verdict.and(Verdict::above(what, Period(time), limits, show));
            }
        }
        verdict
    }
}

fn read_limits<T: Copy + PartialOrd>(
    context: &ProbeContext,
    family: &ReadingDef,
    limits: Option<Limits<T>>,
    number: impl Fn(T) -> f64,
) {
    for (level, limit) in limits.iter().flat_map(Limits::levels) {
        context.read(family, &[level.as_str()], number(limit));
    }
}

fn judge_role(expected: Role, found: &Statistics) -> Verdict {
    let problem = match (expected, found.in_recovery, found.read_only) {
        (Role::Primary, true, _) => "expected a primary, found a replica",
        (Role::Primary, false, true) => "expected a primary that takes writes, found it read-only",
        (Role::Replica, false, _) => "expected a replica, found a primary",
        _ => return Verdict::Healthy,
    };
    Verdict::unhealthy(Reason::Assertion, problem)
}

async fn ask(session: &mut Session<'_>, (query, expectation): &Query) -> Result<Verdict, Failure> {
    match session.ask(query, 1).await {
        Ok(answer) => {
            let value = answer.rows.first().and_then(|row| row.try_get(0).ok().flatten());
            Ok(expectation.judge(value))
        }
        Err(Unanswered::Refused(code, error)) => {
            let (reason, message) = failure::of_configured(&code);
            let message = format!("query: {message}");
            if reason == Reason::Assertion {
                return Ok(Verdict::unhealthy(reason, message));
            }
            Err(Failure::new(reason, message).with_source(error))
        }
        Err(Unanswered::NotOne) => {
            Err(Failure::new(Reason::Config, format!("query: {}", failure::NOT_ONE)))
        }
        Err(Unanswered::Lost(failure)) => Err(failure),
    }
}
