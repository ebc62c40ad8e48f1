//! An actix app with a route of its own, a business metric, two checks and our endpoints.
//!
//! Run it with `cargo run --example embed`, then ask <http://127.0.0.1:8080/health?pretty> and
//! <http://127.0.0.1:8080/metrics>.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use health_exporter::{HealthExporter, Reason, ShowDetails, Verdict};
use prometheus::IntCounter;

/// What the program is about: orders that wait to be sent.
#[derive(Default)]
struct Orders {
    pending: AtomicU32,
}

async fn place_order(orders: web::Data<Orders>, placed: web::Data<IntCounter>) -> HttpResponse {
    placed.inc();
    let pending = orders.pending.fetch_add(1, Ordering::Relaxed) + 1;
    HttpResponse::Created().body(format!("{pending} orders are pending\n"))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let orders = Arc::new(Orders::default());

    let health = HealthExporter::builder()
        .service("orders", env!("CARGO_PKG_VERSION"))
        .show_details(ShowDetails::Full)
        .build()?;
    health.register_check("ping", || async { Ok::<_, std::io::Error>(()) })?;
    let watched = orders.clone();
    health
        .check("backlog", move |context| {
            let pending = watched.pending.load(Ordering::Relaxed);
            async move {
                context.detail("pending", pending);
                Ok(Verdict::degraded_if(
                    pending > 10,
                    Reason::Threshold,
                    "more than 10 orders wait",
                ))
            }
        })
        .interval(Duration::from_secs(5))
        .failure_threshold(1)
        .important()
        .tag("business")
        .register()?;

    let placed = IntCounter::new("orders_placed_total", "Orders placed since the start.")?;
    health.registry().register(Box::new(placed.clone()))?;

    let running = health.start()?;
    let routes = health.routes();
    let (orders, placed) = (web::Data::from(orders), web::Data::new(placed));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(orders.clone())
            .app_data(placed.clone())
            .configure(routes.clone())
            .route("/orders", web::post().to(place_order))
    })
    .workers(1)
    .bind(&listen)?
    .run();
    server.await?;
    running.stop().await;
    Ok(())
}
