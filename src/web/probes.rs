//! `/health/live`, `/health/ready`, `/health/startup`: short answers for those who restart and
//! route.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Serialize;

use super::{Site, document::milliseconds, health::json, now};
use crate::{
    config::{ReadinessPolicy, ShowDetails},
    job::Importance,
    metrics::unix_seconds,
    name::Name,
    state::{ProcessPhase, Record, Snapshot, State},
};

/// An engine that has not come round for so long is dead.
const DEAD_AFTER: Duration = Duration::from_mins(1);
/// More names would not fit into an answer that stays under 1 KB.
const MAX_BLOCKERS: usize = 10;

#[derive(Serialize)]
struct Answer<'a> {
    status: &'static str,
    timestamp: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked_by: Vec<&'a str>,
}

/// `GET /health/live`: whether our own engine still comes round; never a look at a dependency.
pub(super) async fn live(site: web::Data<Site>) -> HttpResponse {
    let (now, _) = now();
    let alive = site.store.heartbeat_age(now) < DEAD_AFTER;
    answer(alive, ["alive", "dead"], None, Vec::new())
}

/// `GET /health/ready`: whether to send work here, by the configured policy.
pub(super) async fn ready(site: web::Data<Site>) -> HttpResponse {
    let snapshot = site.store.snapshot();
    let blockers = blockers(&site, &snapshot);
    let ready = snapshot.phase == ProcessPhase::Running && blockers.is_empty();
    let shown = if site.show_details == ShowDetails::None { Vec::new() } else { blockers };
    answer(ready, ["ready", "not_ready"], Some(snapshot.phase), shown)
}

/// `GET /health/startup`: whether the first round of runs is done.
pub(super) async fn startup(site: web::Data<Site>) -> HttpResponse {
    let phase = site.store.phase();
    let started = phase != ProcessPhase::Starting;
    answer(started, ["started", "starting"], Some(phase), Vec::new())
}

/// The checks that keep us from being ready.
fn blockers<'a>(site: &'a Site, snapshot: &'a Snapshot) -> Vec<&'a str> {
    let (now, _) = now();
    let blocks = |record: &Record| match record.judged(now).state {
        State::Healthy | State::Degraded => false,
        State::Unhealthy | State::Error | State::Stale => true,
        State::Pending => snapshot.phase == ProcessPhase::Starting,
    };
    let critical = |record: &Record| record.spec.importance == Importance::Critical;
    let name = |record: &'a Arc<Record>| record.spec.name.as_str();
    let mut blockers: Vec<_> = match site.readiness.policy {
        ReadinessPolicy::Started => Vec::new(),
        ReadinessPolicy::Critical => {
            let records = snapshot.records.iter();
            records.filter(|record| critical(record) && blocks(record)).map(name).collect()
        }
        ReadinessPolicy::List => {
            let names = site.readiness.checks.iter().map(Name::as_str);
            // A name without a check is nothing that could be good.
            names.filter(|name| snapshot.get(name).is_none_or(|record| blocks(record))).collect()
        }
    };
    blockers.truncate(MAX_BLOCKERS);
    blockers
}

fn answer(
    good: bool,
    words: [&'static str; 2],
    phase: Option<ProcessPhase>,
    blocked_by: Vec<&str>,
) -> HttpResponse {
    let (_, wall) = now();
    let body = Answer {
        status: words[usize::from(!good)],
        timestamp: milliseconds(unix_seconds(wall)),
        phase: phase.map(ProcessPhase::as_str),
        blocked_by,
    };
    let code = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, "application/json", &body, false, (!good).then_some(1))
}
