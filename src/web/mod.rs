//! Serves what is known: health documents, metrics, a page. Nothing here waits for a target.

mod document;
mod formats;
mod health;
mod negotiation;
mod page;
mod probes;
mod requests;
mod scrape;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use actix_web::web::{self, ServiceConfig};
use tokio::runtime::Handle;

use crate::{
    config::{Readiness, ShowDetails},
    metrics::Metrics,
    store::Store,
};

/// Who we are, as the documents show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// The name of the service.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What tells replicas apart.
    pub instance: String,
}

/// All that the endpoints answer from.
pub struct Site {
    /// The records.
    pub store: Store,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The runtime that runs the probes, for its metrics.
    pub probes: Handle,
    /// Who we are.
    pub service: Service,
    /// When we are ready.
    pub readiness: Readiness,
    /// How much everyone may see.
    pub show_details: ShowDetails,
}

/// The moment of a request on both clocks.
fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

/// Mounts every endpoint. It is called once per worker.
pub fn routes(site: Arc<Site>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |config| {
        config
            .app_data(web::Data::from(site.clone()))
            .service(requests::endpoint("/metrics", &site, scrape::metrics))
            .service(requests::endpoint("/health", &site, health::all))
            .service(requests::endpoint("/health/live", &site, probes::live))
            .service(requests::endpoint("/health/ready", &site, probes::ready))
            .service(requests::endpoint("/health/startup", &site, probes::startup))
            .service(requests::endpoint("/health/checks/{name}", &site, health::check))
            .service(requests::endpoint("/health/groups/{name}", &site, health::group))
            .service(requests::endpoint("/health/tags/{name}", &site, health::tag))
            .service(requests::endpoint("/-/healthy", &site, probes::live))
            .service(requests::endpoint("/-/ready", &site, probes::ready));
    }
}

/// Mounts the page at `/` and answers what is not found; for a program of our own.
pub fn standalone(site: Arc<Site>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let routes = routes(site.clone());
    move |config| {
        routes(config);
        config
            .service(requests::endpoint("/", &site, page::index))
            .default_service(requests::elsewhere(&site));
    }
}
