//! `/`: what this is, where to go on, and every check's state, worst first.

use std::time::Duration;

use actix_web::{HttpResponse, http::header, web};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Site, document::Judgement, now};
use crate::{
    config::ShowDetails,
    state::{Judged, Record},
    units::Period,
};

const STYLE: &str = include_str!("page.css");

const LINKS: [(&str, &str); 5] = [
    ("/metrics", "metrics for Prometheus"),
    ("/health?pretty", "health of all checks"),
    ("/health/live", "liveness"),
    ("/health/ready", "readiness"),
    ("/health/startup", "startup"),
];

/// `GET /`
pub(super) async fn index(site: web::Data<Site>) -> HttpResponse {
    let snapshot = site.store.snapshot();
    let records = snapshot.records.iter().map(AsRef::as_ref);
    let mut judgement = Judgement::new(records, snapshot.phase, now());
    judgement.checks.sort_by_key(|(record, judged)| {
        (std::cmp::Reverse(judged.state.severity()), record.spec.importance, &record.spec.name)
    });
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'",
        ))
        .body(page(&site, &judgement).into_string())
}

fn page(site: &Site, judgement: &Judgement<'_>) -> Markup {
    let health = judgement.health().as_str();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="15";
                title { (site.service.name) " is " (health) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (site.service.name) " is " span class=(health) { (health) } }
                p {
                    "health-exporter " (env!("CARGO_PKG_VERSION"))
                    @if site.show_details == ShowDetails::Full { " on " (site.service.instance) }
                    ", " (judgement.phase.as_str())
                    ", up " (shortened(site.store.uptime(judgement.now)))
                }
                nav { @for (path, text) in LINKS { a href=(path) { (text) } " " } }
                @if site.show_details != ShowDetails::None { (table(site, judgement)) }
            }
        }
    }
}

fn table(site: &Site, judgement: &Judgement<'_>) -> Markup {
    let full = site.show_details == ShowDetails::Full;
    html! {
        table {
            thead {
                tr {
                    th { "check" } th { "state" } th { "for" } th { "reason" }
                    @if full { th { "kind" } th { "group" } th { "importance" } th { "last run" } th { "took" } }
                }
            }
            tbody { @for (record, judged) in &judgement.checks { (row(record, judged, judgement, full)) } }
        }
        @if judgement.checks.is_empty() { p { "No checks are configured." } }
    }
}

fn row(record: &Record, judged: &Judged<'_>, judgement: &Judgement<'_>, full: bool) -> Markup {
    let spec = &record.spec;
    let since = judgement.wall.duration_since(judged.since).unwrap_or_default();
    let took =
        record.last.as_ref().map(|last| format!("{:.1} ms", last.duration.as_secs_f64() * 1e3));
    html! {
        tr {
            td { a href={ "/health/checks/" (spec.name) "?pretty" } { (spec.name) } }
            td class=(judged.state.as_str()) { (judged.state.as_str()) }
            td { (shortened(since)) }
            td {
                (judged.reason.unwrap_or_default())
                @if let (true, Some(message)) = (full, judged.message) { ": " (message) }
            }
            @if full {
                td { (spec.kind.name) }
                td { (spec.group) }
                td { (spec.importance.as_str()) }
                td { @if let Some(age) = judged.age { (shortened(age)) " ago" } }
                td { (took.unwrap_or_default()) }
            }
        }
    }
}

/// A time in whole seconds, which is all that people read.
fn shortened(time: Duration) -> String {
    Period(Duration::from_secs(time.as_secs())).to_string()
}
