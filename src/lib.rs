//! Runs health checks in the background and publishes them as Prometheus metrics and health JSON.
//!
//! This crate is the program `health-exporter` and the library it is made of. A program that
//! embeds it registers its own checks as async closures and mounts the endpoints into its actix
//! app:
//!
//! ```
//! use std::time::Duration;
//!
//! use health_exporter::{HealthExporter, Reason, Verdict};
//!
//! # async fn count_pending() -> std::io::Result<u32> { Ok(7) }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let health = HealthExporter::builder().service("orders", "1.4.2").build()?;
//! health.register_check("ping", || async { Ok::<_, std::io::Error>(()) })?;
//! health
//!     .check("ledger", |context| async move {
//!         let pending = count_pending().await?;
//!         context.detail("pending", pending);
//!         Ok(Verdict::degraded_if(pending > 1_000, Reason::Threshold, "pending above 1000"))
//!     })
//!     .interval(Duration::from_secs(15))
//!     .important()
//!     .register()?;
//! let running = health.start()?;
//! // Once per worker: App::new().configure(health.routes())
//! # let _ = actix_web::App::new().configure(health.routes());
//! # drop(running);
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! In reading order; a room imports only from rooms that stand above it here.
//!
//! - `name`, `reading`, `secret`, `units`, `node`, `hash`, `mountinfo`: validated words and plain
//!   values
//! - `outcome`: what one run of a check found
//! - `lag`, `wire`: the event loop, and how checks reach the outside world
//! - `check`: the seam, [`Check`] and the row of a kind
//! - `job`: a check with its settings
//! - `state`, `checks`, `config`: the rules; the kinds; the file
//! - `store`, `metrics`: remembering; exposing
//! - `engine`, `web`: time and tasks; HTTP
//! - `exporter`, `app`, `cli`: the library's face; the wiring of the program; flags and signals

#[doc(hidden)]
pub mod app;
#[doc(hidden)]
pub mod check;
#[doc(hidden)]
pub mod checks;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod exporter;
#[doc(hidden)]
pub mod hash;
#[doc(hidden)]
pub mod job;
#[doc(hidden)]
pub mod lag;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod mountinfo;
#[doc(hidden)]
pub mod name;
#[doc(hidden)]
pub mod node;
#[doc(hidden)]
pub mod outcome;
#[doc(hidden)]
pub mod reading;
#[doc(hidden)]
pub mod secret;
#[doc(hidden)]
pub mod state;
#[doc(hidden)]
pub mod store;
#[doc(hidden)]
pub mod units;
#[doc(hidden)]
pub mod web;
#[doc(hidden)]
pub mod wire;

pub use check::{Check, ProbeContext, Target};
pub use config::{Detail, Readiness, ReadinessPolicy, ShowDetails};
pub use engine::Settings as EngineSettings;
pub use exporter::{
    BuildError, Builder, CheckBuilder, CheckHandle, HealthExporter, RegisterError, Running,
};
pub use metrics::CheckCollector;
pub use name::{InvalidName, Name};
pub use outcome::{Failure, Finding, Phase, Reason, Scalar, Verdict};
pub use reading::ReadingDef;
pub use state::{Record, Snapshot, State};
