//! The seam between the engine and everything that is watched.

use std::{
    any::Any,
    borrow::Cow,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    lag::LagMeter,
    node::{self, Node, Problem},
    outcome::{Failure, Phase, Reason, Recording, Scalar, Verdict},
    reading::ReadingDef,
    secret::{Secret, SecretSource},
    wire::Wire,
};

/// Something that can be probed.
#[async_trait]
pub trait Check: Send + Sync + 'static {
    /// What is probed, for permits per host and for people; `None` for what is part of this
    /// process or machine.
    fn target(&self) -> Option<&Target> {
        None
    }

    /// Families that this check defines itself, beside those of its kind.
    fn readings(&self) -> &[ReadingDef] {
        &[]
    }

    /// One attempt: no retry, no timer, no logging. The engine owns those.
    ///
    /// The future is dropped when the deadline passes, so what was learned belongs into the
    /// context as soon as it is known.
    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure>;
}

/// What a check probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What shares a limit of concurrent runs, usually host and port.
    pub host: String,
    /// What people see: never with user, password, query or fragment.
    pub display: String,
}

/// What a run is given: its deadline, and the places to record what it learns.
///
/// It may be cloned into callbacks of client libraries.
#[derive(Clone)]
pub struct ProbeContext {
    inner: Arc<ContextInner>,
}

struct ContextInner {
    deadline: Instant,
    cancelled: CancellationToken,
    blocking: Handle,
    recording: Mutex<Recording>,
}

impl ProbeContext {
    /// A context whose deadline is `timeout` from now; `blocking` is the runtime whose threads
    /// [`ProbeContext::blocking`] uses.
    pub fn new(timeout: Duration, cancelled: CancellationToken, blocking: Handle) -> Self {
        let inner = ContextInner {
            deadline: Instant::now() + timeout,
            cancelled,
            blocking,
            recording: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// When the engine will end the run.
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// The time left, zero when the deadline has passed.
    pub fn remaining(&self) -> Duration {
        self.inner.deadline.saturating_duration_since(Instant::now())
    }

    /// Completes when the run is to end early, because the process stops for instance.
    pub async fn cancelled(&self) {
        self.inner.cancelled.cancelled().await;
    }

    /// Ends the phase before and begins this one.
    pub fn phase(&self, phase: Phase) {
        self.record(|recording| recording.begin(phase, Instant::now().into_std()));
    }

    /// Ends the phase that is open.
    pub fn end_phase(&self) {
        self.record(|recording| recording.end_phase(Instant::now().into_std()));
    }

    /// Adds a time measured elsewhere to a phase.
    pub fn add_phase(&self, phase: Phase, time: Duration) {
        self.record(|recording| recording.add_phase(phase, time));
    }

    /// Records a value for the metrics; `labels` are the values of the family's own labels.
    pub fn read(&self, def: &ReadingDef, labels: &[&str], value: f64) {
        self.record(|recording| recording.read(def, labels, value));
    }

    /// Records a value for the health document, in base units named in the key
    /// (`query_seconds`, `memory_ratio`).
    pub fn detail(&self, key: impl Into<Cow<'static, str>>, value: impl Into<Scalar>) {
        self.record(|recording| recording.detail(key, value.into()));
    }

    /// Runs code that blocks on one of the engine's few threads for it.
    ///
    /// # Errors
    /// [`Reason::Panic`] when the code panicked, [`Reason::Cancelled`] when the engine has
    /// stopped.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let caught = move || catch_unwind(AssertUnwindSafe(work));
        match self.inner.blocking.spawn_blocking(caught).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(payload)) => Err(panicked(payload.as_ref())),
            Err(_) => Err(Failure::new(Reason::Cancelled, "the engine has stopped")),
        }
    }

    /// Takes what was recorded so far, the open phase included; it names that phase.
    pub fn take_recording(&self) -> (Recording, Option<Phase>) {
        self.record(|recording| {
            let open = recording.open_phase();
            recording.end_phase(Instant::now().into_std());
            (std::mem::take(recording), open)
        })
    }

    fn record<T>(&self, change: impl FnOnce(&mut Recording) -> T) -> T {
        // A recording is whole after each call, so a panic elsewhere does not spoil it.
        change(&mut self.inner.recording.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The failure of code that panicked; the payload goes to the log only.
pub fn panicked(payload: &(dyn Any + Send)) -> Failure {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned());
    let text: String = text.chars().take(1_000).collect();
    Failure::new(Reason::Panic, "the check panicked, see the log").with_source(text)
}

/// A row of the table of kinds: all that the rest of the program knows about a kind.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The key that selects the kind in the configuration, and the value of the label `kind`.
    pub name: &'static str,
    /// Whether the target is somewhere else; decides defaults.
    pub remote: bool,
    /// Every reason that a run of this kind can end with, beside those of the engine.
    pub reasons: &'static [Reason],
    /// Every phase that a run can reach.
    pub phases: &'static [Phase],
    /// Every family that a run can fill.
    pub readings: &'static [ReadingDef],
    /// How it is configured; `None` for what only code can register.
    pub configuration: Option<KindConfiguration>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Kind {
    /// Reasons that the engine itself gives to runs of every kind.
    pub const ENGINE_REASONS: &'static [Reason] =
        &[Reason::Timeout, Reason::Panic, Reason::Hung, Reason::Cancelled, Reason::Internal];

    /// Every reason that can appear with this kind, each once.
    pub fn all_reasons(&self) -> impl Iterator<Item = Reason> + '_ {
        let own = self.reasons.iter().filter(|reason| !Self::ENGINE_REASONS.contains(reason));
        Self::ENGINE_REASONS.iter().chain(own).copied()
    }
}

/// The part of a [`Kind`] that reads its section of the configuration.
#[derive(Clone, Copy)]
pub struct KindConfiguration {
    /// The JSON Schema of the section.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Makes a check of the section. It looks at files, but reaches for no network.
    pub build: fn(Params<'_>, &Shared) -> Built,
}

/// A check made of its section, or every problem of the section.
pub type Built = Result<Box<dyn Check>, Vec<Problem>>;

/// What checks share: built once, handed to every `build`.
#[derive(Clone)]
pub struct Shared {
    /// Certificates, clients, name resolution.
    pub wire: Arc<Wire>,
    /// The runtime that runs the probes.
    pub runtime: Handle,
    /// How late that runtime comes round.
    pub lag: Arc<LagMeter>,
}

/// The section of the configuration that belongs to a kind.
#[derive(Clone, Copy)]
pub struct Params<'a> {
    node: &'a Node,
    path: &'a str,
}

impl<'a> Params<'a> {
    /// The section at `node`; `path` is its key.
    pub fn new(node: &'a Node, path: &'a str) -> Self {
        Self { node, path }
    }

    /// The section as the kind's own type.
    ///
    /// # Errors
    /// Every unknown key and the first type error.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Vec<Problem>> {
        node::decode(self.node, self.path)
    }

    /// A problem with the value at `key`, such as `tls.ca_file`.
    pub fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        Problem::at(&self.node.nearest(key).place, node::join(self.path, key), message)
    }

    /// A path of the configuration; a relative one starts at the folder of the file.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        let file = Path::new(&*self.node.place.file);
        file.parent().unwrap_or_else(|| Path::new("")).join(path)
    }

    /// The secret of a pair of keys `key` and `key_file`, of which one at most may be set.
    ///
    /// # Errors
    /// Both are set, or the file cannot be read.
    pub fn secret(
        &self,
        key: &str,
        inline: Option<Secret>,
        file: Option<&Path>,
    ) -> Result<Option<SecretSource>, Vec<Problem>> {
        let file_key = format!("{key}_file");
        if inline.is_some() && file.is_some() {
            let message = format!("expected only one of `{key}` and `{file_key}`");
            return Err(vec![self.problem(&file_key, message)]);
        }
        let source = SecretSource::from_keys(inline, file.map(|file| self.resolve(file)));
        match source.as_ref().map(SecretSource::read) {
            Some(Err(error)) => {
                let path = file.map(|file| self.resolve(file)).unwrap_or_default();
                let message = format!("{} cannot be read: {error}", path.display());
                Err(vec![self.problem(&file_key, message)])
            }
            _ => Ok(source),
        }
    }
}

/// Boxes what a `build` made, or returns its problems.
///
/// # Errors
/// The problems, when there are any.
pub fn built<C: Check>(problems: Vec<Problem>, check: impl FnOnce() -> C) -> Built {
    if problems.is_empty() { Ok(Box::new(check())) } else { Err(problems) }
}

/// A check made of an async closure.
pub struct ClosureCheck<F>(pub F);

#[async_trait]
impl<F, Fut> Check for ClosureCheck<F>
where
    F: Fn(ProbeContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Verdict, Failure>> + Send + 'static,
{
    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        (self.0)(context.clone()).await
    }
}
