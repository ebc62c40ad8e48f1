//! `disk`: how full the file systems are, and whether they still answer and can be written.

mod mounts;
mod params;
mod pattern;
mod questions;
mod readings;
#[cfg(test)]
mod tests;
mod usage;
mod verdict;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use schemars::{Schema, SchemaGenerator};
use tokio::time::Instant;

#[cfg(not(target_os = "linux"))]
use self::elsewhere::Machine;
#[cfg(target_os = "linux")]
use self::linux::Machine;
use self::{
    mounts::is_network,
    params::DiskParams,
    questions::{Questions, Unanswered},
    usage::FileSystems,
    verdict::{Answer, Look},
};
use crate::{
    check::{Built, Check, Kind, KindConfiguration, Params, ProbeContext, Shared, built},
    mountinfo::Mount,
    outcome::{Failure, Reason, Verdict},
};

/// The row of the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "disk",
    remote: false,
    reasons: &[
        Reason::Timeout,
        Reason::Assertion,
        Reason::Threshold,
        Reason::Auth,
        Reason::Config,
        Reason::Internal,
    ],
    phases: &[],
    readings: readings::ALL,
    configuration: Some(KindConfiguration { schema, build }),
};

/// The share of a run that is spent on waiting for answers, so that what did answer is reported
/// before the deadline ends the run.
const PATIENCE: f64 = 0.8;

fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<DiskParams>()
}

fn build(params: Params<'_>, _: &Shared) -> Built {
    let settings: DiskParams = params.decode()?;
    let problems = settings.problems(&params);
    built(problems, || {
        let machine = Machine::new(&settings.root);
        Disk::new(settings, machine)
    })
}

struct Disk {
    params: DiskParams,
    file_systems: Arc<dyn FileSystems>,
    /// To file systems of this machine, which answer unless a device fails.
    local: Questions,
    /// To file systems of other machines; they keep none of ours waiting.
    remote: Questions,
    /// Mount points and devices that were writable in a run and have been mounted since.
    writable: Mutex<HashSet<(String, String)>>,
}

impl Disk {
    fn new(params: DiskParams, file_systems: impl FileSystems) -> Self {
        Self {
            params,
            file_systems: Arc::new(file_systems),
            local: Questions::new(),
            remote: Questions::new(),
            writable: Mutex::default(),
        }
    }

    async fn mounts(&self, context: &ProbeContext, until: Instant) -> Result<Vec<Mount>, Failure> {
        let file_systems = self.file_systems.clone();
        let list = move || file_systems.mounts();
        match self.local.ask(context, "", until, list).await? {
            Ok(Ok(mounts)) => Ok(mounts),
            Ok(Err(error)) if self.params.is_own_machine() => {
                Err(Failure::new(Reason::Internal, "the mounts cannot be listed")
                    .with_source(error))
            }
            Ok(Err(error)) => {
                let root = self.params.root.display();
                let message = format!(
                    "the mounts of the machine at {root} cannot be listed, is its /proc there?"
                );
                Err(Failure::new(Reason::Config, message).with_source(error))
            }
            Err(Unanswered::Since(_) | Unanswered::NotAsked) => {
                Err(Failure::new(Reason::Timeout, "the list of mounts does not come"))
            }
        }
    }

    async fn look(
        &self,
        context: &ProbeContext,
        mount: Mount,
        until: Instant,
    ) -> Result<Look, Failure> {
        let file_systems = self.file_systems.clone();
        let asked = mount.clone();
        let usage = move || file_systems.usage(&asked);
        // What is mounted anew in the place of what hangs is another question.
        let about = format!("{} {}", mount.device_id, mount.mount_point);
        let questions = if is_network(&mount.fstype) { &self.remote } else { &self.local };
        let answer = match questions.ask(context, &about, until, usage).await? {
            Ok(Ok(usage)) => Answer::Usage(usage),
            Ok(Err(error)) => Answer::Error(error),
            Err(unanswered) => Answer::None(unanswered),
        };
        let named = self.params.mounts.names(&mount.mount_point);
        Ok(Look { mount, named, answer })
    }

    /// The mount points whose file system was writable and is not any more.
    fn turned_read_only(&self, mounts: &[Mount]) -> HashSet<String> {
        let mut writable = self.writable.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not mounted now is forgotten: mounting it read-only later is an intention.
        let before = std::mem::take(&mut *writable);
        let mut turned = HashSet::new();
        for mount in mounts {
            let key = (mount.mount_point.clone(), mount.device_id.clone());
            let was_writable = before.contains(&key);
            if mount.read_only && was_writable {
                turned.insert(mount.mount_point.clone());
            }
            if was_writable || !mount.read_only {
                writable.insert(key);
            }
        }
        turned
    }
}

#[async_trait]
impl Check for Disk {
    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        readings::limits(context, self.params.space, self.params.inodes);
        let until = Instant::now() + context.remaining().mul_f64(PATIENCE);
        let chosen = self.params.mounts.choose(self.mounts(context, until).await?);
        let turned_read_only = self.turned_read_only(&chosen.mounts);
        let looks = chosen.mounts.into_iter().map(|mount| self.look(context, mount, until));
        let looks = try_join_all(looks).await?;
        for look in &looks {
            readings::mount(context, &look.mount, look.usage());
        }
        verdict::details(context, &looks, chosen.left_out);
        verdict::judge(&self.params, &looks, &turned_read_only, &chosen.missing)
    }
}
