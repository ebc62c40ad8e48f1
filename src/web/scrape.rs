//! `/metrics`.

use actix_web::{HttpRequest, HttpResponse, body::SizedStream, http::header, web};
use bytes::Bytes;
use futures_util::stream;

use super::{Site, negotiation, now};
use crate::metrics::{Exposed, Scrape};

/// `GET /metrics`
pub(super) async fn metrics(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    let (format, gzip) = (negotiation::exposition(&request), negotiation::gzip(&request));
    // Encoding many checks takes milliseconds, which other requests of this worker need not wait.
    let exposed = web::block(move || expose(&site, format, gzip)).await;
    let Ok(Exposed { blocks }) = exposed else {
        return HttpResponse::InternalServerError().finish();
    };
    let length: usize = blocks.iter().map(Bytes::len).sum();
    let blocks = stream::iter(blocks.map(Ok::<_, std::convert::Infallible>));
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CONTENT_TYPE, format.content_type()))
        .insert_header((header::VARY, "Accept, Accept-Encoding"));
    if gzip {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    answer.body(SizedStream::new(length as u64, blocks))
}

fn expose(site: &Site, format: crate::metrics::Format, gzip: bool) -> Exposed {
    let (now, wall) = now();
    let scrape = Scrape {
        version: site.store.version(),
        phase: site.store.phase(),
        checks: site.store.len(),
        snapshot: || site.store.snapshot(),
        runtime: Some(site.probes.clone()),
    };
    site.metrics.expose(scrape, format, gzip, now, wall)
}
