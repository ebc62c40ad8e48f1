//! The kind `http`.

mod answers;
mod bodies;
mod broken;
mod configuration;
mod redirects;
mod running;
mod tls;
mod ways;

use std::{io::Write, net::TcpListener, time::Duration};

use flate2::{Compression, write::GzEncoder};
use health_exporter::outcome::{Outcome, Phase, Scalar};

use crate::{
    certificates::{Authority, days_from_now},
    probing::{Ask, build, probe},
    targets::{Answer, Request, Server},
};

const STATUS: &str = "health_check_http_status_code";
const SIZE: &str = "health_check_http_response_size_bytes";
const REDIRECTS: &str = "health_check_http_redirects";
const EXPIRY: &str = "health_check_tls_cert_expiry_timestamp_seconds";
const VERIFIED: &str = "health_check_tls_verified";
const THRESHOLD: &str = "health_check_tls_cert_expiry_threshold_seconds";

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

async fn outcome_within(section: &str, timeout: Duration) -> Outcome {
    let check = build("http", section).unwrap();
    probe(check.as_ref(), timeout).await
}

async fn outcome(section: &str) -> Outcome {
    outcome_within(section, PATIENCE).await
}

/// The outcome of asking a server, with further keys.
async fn asked(server: &Server, keys: &str) -> Outcome {
    outcome(&format!("url: {}\n{keys}", server.url("/health"))).await
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A port that nobody listens on.
fn unused_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
