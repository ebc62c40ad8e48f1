//! Runs health checks in the background and publishes them as Prometheus metrics and health JSON.

pub mod check;
pub mod checks;
pub mod job;
pub mod lag;
pub mod name;
pub mod node;
pub mod outcome;
pub mod reading;
pub mod secret;
pub mod units;
pub mod wire;
