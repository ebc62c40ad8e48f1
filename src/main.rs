//! The `health-exporter` program.

fn main() {}
