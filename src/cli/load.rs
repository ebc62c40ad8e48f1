//! How much work a configuration asks for, and whether the limits can carry it.

use std::{collections::BTreeMap, fmt::Write};

use crate::{app::Prepared, engine::Settings, job::Job};

/// Describes a valid configuration: how many checks, and how many runs may be under way at once
/// if every target hangs until its timeout.
pub(super) fn describe(prepared: &Prepared) -> String {
    let engine = &prepared.config.engine;
    let limit = engine.max_concurrency.unwrap_or_else(|| Settings::default().max_concurrency);
    let host_limit = engine.max_concurrency_per_host;
    let mut hosts: BTreeMap<&str, f64> = BTreeMap::new();
    for job in &prepared.jobs {
        if let Some(host) = &job.spec.host {
            *hosts.entry(host).or_default() += load(job);
        }
    }
    // Beginning with 0.0, since the sum of nothing would be shown as -0.0.
    let all = prepared.jobs.iter().map(load).fold(0.0, |sum, load| sum + load);
    let count = prepared.jobs.len();
    let mut out = format!("{count} check{}, no problems\n", if count == 1 { "" } else { "s" });
    // Writing into a string does not fail.
    let _ = writeln!(
        out,
        "runs at once if every target hangs (sum of timeout/interval): {all:.1} of {}",
        shown(limit)
    );
    warn(&mut out, "engine.max_concurrency", all, limit);
    for (host, load) in hosts {
        let _ = writeln!(out, "  {host}: {load:.1} of {}", shown(host_limit));
        warn(&mut out, "engine.max_concurrency_per_host", load, host_limit);
    }
    out
}

fn load(job: &Job) -> f64 {
    job.spec.policy.timeout.as_secs_f64() / job.spec.policy.interval.as_secs_f64()
}

fn shown(limit: usize) -> String {
    if limit == 0 { "any number".to_owned() } else { limit.to_string() }
}

#[allow(clippy::cast_precision_loss)]
fn warn(out: &mut String, key: &str, load: f64, limit: usize) {
    if limit > 0 && load > limit as f64 {
        let _ = writeln!(
            out,
            "warning: {key} cannot carry this: runs would wait for each other and be skipped; \
             raise it, or choose longer intervals or shorter timeouts"
        );
    }
}
