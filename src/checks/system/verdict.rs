//! What is to be thought of a look at the machine.

use super::{
    params::SystemParams,
    sample::{Cgroup, Descriptors, Memory, Resource, Sample},
};
use crate::{
    check::ProbeContext,
    outcome::{Reason, Verdict},
    units::{ByteSize, Limits, Ratio},
};

/// The worst of what limits are set for.
pub(super) fn judge(params: &SystemParams, sample: &Sample) -> Verdict {
    judge_memory(params, sample)
        .and(judge_descriptors(params, sample))
        .and(judge_ratio("CPUs busy", sample.cpu_used, params.cpu))
        .and(judge_load(params, sample))
        .and(judge_pressure(params, sample))
}

fn judge_ratio(what: &str, ratio: Option<f64>, limits: Option<Limits<Ratio>>) -> Verdict {
    let (Some(ratio), Some(limits)) = (ratio, limits) else { return Verdict::Healthy };
    Verdict::above(what, Ratio(ratio), &limits, |ratio| ratio.to_string())
}

fn judge_memory(params: &SystemParams, sample: &Sample) -> Verdict {
    let size = |bytes: u64| ByteSize(bytes).rounded();
    let mut verdict = Verdict::Healthy;
    if let Some(memory) = sample.own_memory() {
        let (available, total) = (size(memory.available), size(memory.total));
        let what = format!("{available} of {total} memory available, used");
        verdict = verdict.and(judge_ratio(&what, memory.used_ratio(), params.memory));
    }
    if let Some(cgroup) = sample.cgroup {
        let (used, limit) = (size(cgroup.working_set), size(cgroup.limit));
        let what = format!("{used} of {limit} memory of the control group in use,");
        verdict = verdict.and(judge_ratio(&what, Cgroup::used_ratio(cgroup), params.memory));
    }
    if let Some(swap) = sample.swap {
        let what = format!("{} of {} swap free, used", size(swap.available), size(swap.total));
        verdict = verdict.and(judge_ratio(&what, Memory::used_ratio(swap), params.swap));
    }
    verdict
}

fn judge_descriptors(params: &SystemParams, sample: &Sample) -> Verdict {
    let judge = |whose: &str, descriptors: Option<Descriptors>| {
        let Some(descriptors) = descriptors else { return Verdict::Healthy };
        let Descriptors { open, max } = descriptors;
        let what = format!("{open} of {max} file descriptors of {whose} open,");
        judge_ratio(&what, descriptors.used_ratio(), params.file_descriptors)
    };
    let machine = judge("the machine", sample.file_descriptors);
    machine.and(judge("this process", sample.own_file_descriptors))
}

fn judge_load(params: &SystemParams, sample: &Sample) -> Verdict {
    let Some(limits) = params.load else { return Verdict::Healthy };
    match sample.load5_per_cpu() {
        Some(load) => {
            let show = |load: f64| format!("{}", (load * 100.0).round() / 100.0);
            Verdict::above("load of 5 minutes per CPU", load, &limits, show)
        }
        None => not_told("load"),
    }
}

fn judge_pressure(params: &SystemParams, sample: &Sample) -> Verdict {
    Resource::ALL.into_iter().fold(Verdict::Healthy, |verdict, resource| {
        let Some(limits) = params.pressure(resource) else { return verdict };
        let name = resource.as_str();
        let pressure = sample.pressure.iter().find(|(known, _)| *known == resource);
        verdict.and(match pressure {
            Some((_, pressure)) => {
                let what = format!("share of the last minute with tasks waiting for {name}");
                judge_ratio(&what, Some(pressure.waiting), Some(limits))
            }
            None => not_told(&format!("{name} pressure")),
        })
    })
}

/// Limits that somebody set and that cannot be judged must not look healthy.
fn not_told(what: &str) -> Verdict {
    let message = format!("limits are set for {what}, which this machine does not tell");
    Verdict::degraded(Reason::Config, message)
}

/// Records what people want to know at a glance.
pub(super) fn details(context: &ProbeContext, sample: &Sample) {
    let details = [
        ("cpu_used_ratio", sample.cpu_used),
        ("load5_per_cpu", sample.load5_per_cpu()),
        ("memory_used_ratio", sample.memory_used()),
        ("swap_used_ratio", sample.swap.and_then(Memory::used_ratio)),
        ("file_descriptors_used_ratio", sample.file_descriptors_used()),
    ];
    for (key, value) in details {
        if let Some(value) = value {
            context.detail(key, value);
        }
    }
    if !sample.not_readable.is_empty() {
        context.detail("not_readable", sample.not_readable.join(", "));
    }
}
