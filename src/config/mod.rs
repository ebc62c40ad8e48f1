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

/// The configuration of a start without any: it watches this machine.
pub const DEFAULT: &str = include_str!("default.yml");

/// What goes with [`DEFAULT`] when requests are served: it watches the exporter itself.
pub const DEFAULT_SELF: &str = include_str!("self.yml");

/// The variable that [`DEFAULT_SELF`] expands to the address of the exporter.
pub const SELF_VARIABLE: &str = "HEALTH_EXPORTER_SELF";
