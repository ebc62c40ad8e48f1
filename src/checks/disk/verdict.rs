//! What the file systems said, and what is to be thought of it.

use std::{collections::HashSet, io, time::Duration};

use super::{params::DiskParams, questions::Unanswered, usage::Usage};
use crate::{
    check::ProbeContext,
    mountinfo::Mount,
    outcome::{Failure, Reason, Verdict},
    units::{ByteSize, Limits, Period, Ratio},
};

/// What was seen of one mount.
pub(super) struct Look {
    pub(super) mount: Mount,
    /// Whether the configuration names it.
    pub(super) named: bool,
    pub(super) answer: Answer,
}

/// What a file system said about its usage.
pub(super) enum Answer {
    Usage(Usage),
    Error(io::Error),
    None(Unanswered),
}

impl Look {
    pub(super) fn usage(&self) -> Option<&Usage> {
        match &self.answer {
            Answer::Usage(usage) => Some(usage),
            _ => None,
        }
    }

    /// The error that says more about our rights and our view than about the file system.
    fn hidden(&self) -> Option<&io::Error> {
        match &self.answer {
            Answer::Error(error) => {
                let hidden = [io::ErrorKind::PermissionDenied, io::ErrorKind::NotFound];
                hidden.contains(&error.kind()).then_some(error)
            }
            _ => None,
        }
    }

    fn judge(&self, params: &DiskParams) -> Verdict {
        let point = &self.mount.mount_point;
        match &self.answer {
            Answer::None(Unanswered::NotAsked) => {
                let message = format!("{point} could not be asked, others do not answer");
                Verdict::unhealthy(Reason::Timeout, message)
            }
            Answer::None(Unanswered::Since(time)) => {
                let time = Period(Duration::from_secs(time.as_secs().max(1)));
                Verdict::unhealthy(Reason::Timeout, format!("{point} has not answered for {time}"))
            }
            Answer::Error(_) if self.hidden().is_some() => Verdict::Healthy,
            Answer::Error(error) => {
                let message = format!("{point} cannot be read: {error}");
                Verdict::unhealthy(Reason::Assertion, message)
            }
            // What cannot be written cannot fill up either: images are full by design.
            Answer::Usage(_) if self.mount.read_only => Verdict::Healthy,
            Answer::Usage(usage) => judge_usage(point, usage, params),
        }
    }
}

fn judge_usage(point: &str, usage: &Usage, params: &DiskParams) -> Verdict {
    let judge = |what: String, ratio: Option<f64>, limits: Option<Limits<Ratio>>| {
        let (Some(ratio), Some(limits)) = (ratio, limits) else { return Verdict::Healthy };
        Verdict::above(&what, Ratio(ratio), &limits, |ratio| ratio.to_string())
    };
    let (available, size) = (ByteSize(usage.available).rounded(), ByteSize(usage.size).rounded());
    let what = format!("{point} has {available} of {size} available, used");
    let space = judge(what, usage.used_ratio(), params.space);
    let Some(files) = usage.files else { return space };
    let what = format!("{point} has {} of {} inodes free, used", files.free, files.total);
    space.and(judge(what, files.used_ratio(), params.inodes))
}

/// The verdict on everything that was seen: the worst, with the number of others that are not
/// healthy either.
///
/// # Errors
/// Nothing is unhealthy, but a mount that is named, or every mount, is hidden from us.
pub(super) fn judge(
    params: &DiskParams,
    looks: &[Look],
    turned_read_only: &HashSet<String>,
    missing: &[String],
) -> Result<Verdict, Failure> {
    let wrong = |message: String| Verdict::unhealthy(Reason::Assertion, message);
    let mut verdicts = Vec::new();
    for point in missing {
        verdicts.push(wrong(format!("nothing is mounted at {point}")));
    }
    if looks.is_empty() && missing.is_empty() && !params.mounts.include.is_empty() {
        verdicts.push(wrong("no file system matches `mounts.include`".to_owned()));
    }
    for look in looks {
        let point = &look.mount.mount_point;
        if params.read_only && turned_read_only.contains(point) {
            verdicts.push(wrong(format!("{point} has turned read-only")));
        } else {
            verdicts.push(look.judge(params));
        }
    }
    let bad = verdicts.iter().filter(|verdict| **verdict != Verdict::Healthy).count();
    let mut worst = verdicts.into_iter().fold(Verdict::Healthy, Verdict::and);
    match &mut worst {
        Verdict::Healthy => {}
        Verdict::Degraded(finding) | Verdict::Unhealthy(finding) => {
            if bad > 1 {
                finding.message = format!("{} (and {} more)", finding.message, bad - 1);
            }
        }
    }
    match (worst, hidden(looks)) {
        (unhealthy @ Verdict::Unhealthy(_), _) => Ok(unhealthy),
        (_, Some(failure)) => Err(failure),
        (verdict, None) => Ok(verdict),
    }
}

fn hidden(looks: &[Look]) -> Option<Failure> {
    let all_hidden = looks.iter().all(|look| look.hidden().is_some());
    let look = looks.iter().find(|look| (look.named || all_hidden) && look.hidden().is_some())?;
    let error = look.hidden()?;
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied => Reason::Auth,
        _ => Reason::Config,
    };
    Some(Failure::new(reason, format!("{} cannot be seen: {error}", look.mount.mount_point)))
}

/// Records what people want to know at a glance.
pub(super) fn details(context: &ProbeContext, looks: &[Look], left_out: usize) {
    context.detail("mounts", looks.len());
    let fullest = looks
        .iter()
        .filter(|look| !look.mount.read_only)
        .filter_map(|look| Some((look.usage()?.used_ratio()?, look)))
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    if let Some((ratio, look)) = fullest {
        context.detail("fullest_mount", look.mount.mount_point.as_str());
        context.detail("fullest_used_ratio", ratio);
    }
    let hidden: Vec<_> = looks
        .iter()
        .filter(|look| look.hidden().is_some())
        .map(|look| look.mount.mount_point.as_str())
        .collect();
    if !hidden.is_empty() {
        context.detail("not_readable", hidden.join(", "));
    }
    if left_out > 0 {
        context.detail("mounts_left_out", left_out);
    }
}
