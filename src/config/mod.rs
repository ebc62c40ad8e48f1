//! The configuration: one file or a folder of files, validated whole before anything starts.

mod draft;
mod entry;
mod expand;
mod schema;
mod sections;
mod settings;

pub use draft::{Draft, Loaded};
pub use schema::schema;
pub use sections::{
    Config, Detail, EngineSection, MetricsSection, Readiness, ReadinessPolicy, ServerSection,
    ServiceSection, ShowDetails,
};

/// The address that the exporter listens on when nothing says otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:10115";

/// The variable that [`DEFAULT`] expands to the address of the exporter itself.
pub const SELF_VARIABLE: &str = "HEALTH_EXPORTER_SELF";

/// The configuration of a start without any: it watches this machine and the exporter itself.
pub const DEFAULT: &str = include_str!("default.yml");
