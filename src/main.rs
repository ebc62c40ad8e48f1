//! The `health-exporter` program.

fn main() -> std::process::ExitCode {
    health_exporter::cli::run()
}
