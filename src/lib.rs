//! Runs health checks in the background and publishes them as Prometheus metrics and health JSON.

pub mod app;
pub mod check;
pub mod checks;
pub mod cli;
pub mod config;
pub mod engine;
pub mod exporter;
pub mod hash;
pub mod job;
pub mod lag;
pub mod metrics;
pub mod mountinfo;
pub mod name;
pub mod node;
pub mod outcome;
pub mod reading;
pub mod secret;
pub mod state;
pub mod store;
pub mod units;
pub mod web;
pub mod wire;
