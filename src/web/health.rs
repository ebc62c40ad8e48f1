//! `/health` and its parts: one check, one group, one tag.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use serde::Serialize;

use super::{
    Site,
    document::{self, Judgement},
    formats,
    negotiation::{self, HealthFormat},
    now,
};
use crate::state::{Health, Record, Snapshot};

/// What a client may ask for behind the `?`; what we do not know is ignored.
#[derive(Default)]
struct Query {
    verbose: bool,
    pretty: bool,
    include: Vec<String>,
    exclude: Vec<String>,
}

impl Query {
    fn of(request: &HttpRequest) -> Self {
        let mut query = Self::default();
        let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        for (key, value) in pairs.map(web::Query::into_inner).unwrap_or_default() {
            let on = !matches!(value.as_str(), "0" | "false");
            match key.as_str() {
                "verbose" => query.verbose = on,
                "pretty" => query.pretty = on,
                "include" => query.include.push(value),
                "exclude" => query.exclude.push(value),
                _ => {}
            }
        }
        query
    }

    fn wants(&self, record: &Record) -> bool {
        let name = record.spec.name.as_str();
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        (self.include.is_empty() || listed(&self.include)) && !listed(&self.exclude)
    }
}

/// `GET /health`
pub(super) async fn all(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    answer(&site, &request, &site.store.snapshot(), |_| true)
}

/// `GET /health/groups/{name}`
pub(super) async fn group(
    site: web::Data<Site>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    selection(&site, &request, |record| record.spec.group.as_str() == *name)
}

/// `GET /health/tags/{name}`
pub(super) async fn tag(
    site: web::Data<Site>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    selection(&site, &request, |record| record.spec.tags.iter().any(|tag| tag.as_str() == *name))
}

/// `GET /health/checks/{name}`
pub(super) async fn check(
    site: web::Data<Site>,
    request: HttpRequest,
    name: web::Path<String>,
) -> HttpResponse {
    let snapshot = site.store.snapshot();
    let Some(record) = snapshot.get(&name) else { return not_found() };
    let (now, _) = now();
    let judged = record.judged(now);
    let view = document::check(record, &judged, site.show_details, now);
    let bad = judged.state.severity() > 1;
    let query = Query::of(&request);
    json(
        status(bad),
        "application/json",
        &view,
        query.pretty,
        bad.then(|| retry_after([&**record])),
    )
}

fn selection(
    site: &Site,
    request: &HttpRequest,
    selected: impl Fn(&Record) -> bool,
) -> HttpResponse {
    let snapshot = site.store.snapshot();
    if !snapshot.records.iter().any(|record| selected(record)) {
        return not_found();
    }
    answer(site, request, &snapshot, selected)
}

fn answer(
    site: &Site,
    request: &HttpRequest,
    snapshot: &Snapshot,
    selected: impl Fn(&Record) -> bool,
) -> HttpResponse {
    let query = Query::of(request);
    if query.include.iter().any(|name| snapshot.get(name).is_none()) {
        // Nothing to look at would be healthy, which whoever misspelt a name must not be told.
        return not_found();
    }
    let records = snapshot.records.iter().map(AsRef::as_ref);
    let records = records.filter(|record| selected(record) && query.wants(record));
    let judgement = Judgement::new(records, snapshot.phase, now());
    let show = site.show_details;
    let bad = judgement.health() == Health::Unhealthy;
    let retry = bad.then(|| {
        let bad = judgement.checks.iter().filter(|(_, judged)| judged.state.severity() > 1);
        retry_after(bad.map(|(record, _)| *record))
    });
    match negotiation::health(request) {
        HealthFormat::Json => {
            let document = judgement.document(site, show, query.verbose);
            json(status(bad), "application/json", &document, query.pretty, retry)
        }
        HealthFormat::HealthJson => {
            let document = judgement.document(site, show, query.verbose);
            let document = formats::health_json(&judgement, &document);
            json(status(bad), "application/health+json", &document, query.pretty, retry)
        }
        HealthFormat::Text => {
            let text = formats::text(&judgement, show);
            respond(status(bad), "text/plain; charset=utf-8", text.into_bytes(), retry)
        }
    }
}

fn status(bad: bool) -> StatusCode {
    if bad { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}

/// When asking again may give something new: the shortest interval of the checks that are bad.
fn retry_after<'a>(bad: impl IntoIterator<Item = &'a Record>) -> u64 {
    let intervals = bad.into_iter().map(|record| record.spec.policy.interval.as_secs());
    intervals.min().unwrap_or(1).max(1)
}

/// An answer with a JSON body.
pub(super) fn json(
    status: StatusCode,
    content_type: &'static str,
    body: &impl Serialize,
    pretty: bool,
    retry_after: Option<u64>,
) -> HttpResponse {
    let encoded = if pretty { serde_json::to_vec_pretty(body) } else { serde_json::to_vec(body) };
    match encoded {
        Ok(mut encoded) => {
            encoded.push(b'\n');
            respond(status, content_type, encoded, retry_after)
        }
        Err(error) => {
            tracing::error!(%error, "the health document could not be encoded");
            HttpResponse::InternalServerError().finish()
        }
    }
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    retry_after: Option<u64>,
) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::VARY, "Accept"));
    if let Some(seconds) = retry_after {
        answer.insert_header((header::RETRY_AFTER, seconds));
    }
    answer.content_type(content_type).body(body)
}

fn not_found() -> HttpResponse {
    HttpResponse::NotFound()
        .content_type("application/json")
        .body("{\"error\":\"there is no check, group or tag of this name\"}\n")
}
