//! What every endpoint has in common: methods, headers, and the count of its requests.

use std::{
    future::ready,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Responder, Route,
    body::MessageBody,
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    guard,
    http::header::{self, HeaderValue},
    middleware::{Next, from_fn},
    web,
};

use super::Site;

/// An endpoint for GET and HEAD, counted under its own pattern.
pub(super) fn endpoint<F, Args>(
    path: &'static str,
    site: &Arc<Site>,
    handler: F,
) -> impl HttpServiceFactory + use<F, Args>
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let readable = guard::Any(guard::Get()).or(guard::Head());
    let site = site.clone();
    web::resource(path)
        .route(web::route().guard(readable).to(handler))
        .default_service(web::to(method_not_allowed))
        .wrap(from_fn(move |request, next| observed(site.clone(), path, request, next)))
}

/// Answers every path that is not ours.
pub(super) fn elsewhere(site: &Arc<Site>) -> Route {
    let site = site.clone();
    web::route().to(move |request: HttpRequest| {
        let method = known_method(request.method().as_str());
        site.metrics.own().request_answered("other", method, 404, Duration::ZERO);
        let answer = HttpResponse::NotFound()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .content_type("text/plain; charset=utf-8")
            .body("not found\n");
        ready(answer)
    })
}

async fn method_not_allowed() -> HttpResponse {
    HttpResponse::MethodNotAllowed()
        .insert_header((header::ALLOW, "GET, HEAD"))
        .content_type("text/plain; charset=utf-8")
        .body("expected GET or HEAD\n")
}

async fn observed<B: MessageBody + 'static>(
    site: Arc<Site>,
    path: &'static str,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let began = Instant::now();
    let method = known_method(request.method().as_str());
    let own = site.metrics.own();
    let in_flight = InFlight::new(own.http_requests_in_flight.clone());
    let answered = next.call(request).await;
    drop(in_flight);
    let code = match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    own.request_answered(path, method, code.as_u16(), began.elapsed());
    let mut response = answered?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// A client must not be able to add series by inventing methods.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

/// One more request in flight, also when its client goes away.
struct InFlight(prometheus::IntGauge);

impl InFlight {
    fn new(gauge: prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
