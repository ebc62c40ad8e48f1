//! `system`: CPU, memory, swap, load, pressure and file descriptors of a machine.

mod host;
mod params;
mod readings;
mod sample;
#[cfg(test)]
mod tests;
mod verdict;

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod proc;

use std::sync::{Arc, Mutex, TryLockError};

use async_trait::async_trait;
use schemars::{Schema, SchemaGenerator};

use self::{
    host::{CPU_WINDOW, Host},
    params::SystemParams,
    sample::Sample,
};
use crate::{
    check::{Built, Check, Kind, KindConfiguration, Params, ProbeContext, Shared, built},
    outcome::{Failure, Reason, Verdict},
};

/// The row of the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "system",
    remote: false,
    reasons: &[Reason::Threshold, Reason::Config, Reason::Timeout, Reason::Internal],
    phases: &[],
    readings: readings::ALL,
    configuration: Some(KindConfiguration { schema, build }),
};

fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<SystemParams>()
}

fn build(params: Params<'_>, _: &Shared) -> Built {
    let settings: SystemParams = params.decode()?;
    let problems = settings.problems(&params);
    let host = Host::new(&settings.root).map_err(|error| {
        vec![params.problem("root", format!("this machine cannot be watched: {error}"))]
    })?;
    built(problems, || System { params: settings, host: Arc::new(Mutex::new(host)) })
}

struct System {
    params: SystemParams,
    /// Held while somebody looks, which takes for ever when a file of `/proc` hangs.
    host: Arc<Mutex<Host>>,
}

impl System {
    async fn look(&self, context: &ProbeContext) -> Result<Sample, Failure> {
        let host = self.host.clone();
        let look = move || match host.try_lock() {
            Ok(mut host) => Some(host.look()),
            Err(TryLockError::Poisoned(host)) => Some(host.into_inner().look()),
            Err(TryLockError::WouldBlock) => None,
        };
        match context.blocking(look).await? {
            None => {
                let message = "an earlier look at the machine has not ended";
                Err(Failure::new(Reason::Timeout, message))
            }
            Some(sample) if sample.is_empty() && self.params.is_own_machine() => {
                Err(Failure::new(Reason::Internal, "nothing of this machine can be read"))
            }
            Some(sample) if sample.is_empty() => {
                let root = self.params.root.display();
                let message =
                    format!("nothing of the machine at {root} can be read, is its /proc there?");
                Err(Failure::new(Reason::Config, message))
            }
            Some(sample) => Ok(sample),
        }
    }
}

#[async_trait]
impl Check for System {
    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        readings::limits(context, &self.params);
        let mut sample = self.look(context).await?;
        readings::record(context, &sample);
        let first = sample.cpu_used.is_none() && sample.cpus.is_some();
        if first && context.remaining() > CPU_WINDOW {
            // There is no look before this one to compare with.
            tokio::time::sleep(CPU_WINDOW).await;
            sample.cpu_used = self.look(context).await?.cpu_used;
        }
        if let Some(ratio) = sample.cpu_used {
            readings::cpu_used(context, ratio);
        }
        verdict::details(context, &sample);
        Ok(verdict::judge(&self.params, &sample))
    }
}
