//! Remembers the newest record of every check.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use crate::{
    name::Name,
    state::{ProcessPhase, Record, Snapshot},
};

/// The records of one engine; a cheap handle.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// Written when checks come and go, never for a run.
    slots: RwLock<BTreeMap<Name, Slot>>,
    version: AtomicU64,
    phase: AtomicU8,
    started: Instant,
    /// When the engine last came round, in milliseconds after `started`.
    heartbeat: AtomicU64,
}

/// The place of one check's record.
#[derive(Clone)]
pub struct Slot(Arc<ArcSwap<Record>>);

impl Slot {
    /// The newest record.
    pub fn record(&self) -> Arc<Record> {
        self.0.load_full()
    }
}

impl Store {
    /// No checks, in the phase `starting`.
    pub fn new(now: Instant) -> Self {
        let inner = Inner {
            slots: RwLock::default(),
            version: AtomicU64::new(0),
            phase: AtomicU8::new(ProcessPhase::Starting as u8),
            started: now,
            heartbeat: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A slot for a check; `false` when the name is taken.
    pub fn insert(&self, record: Record) -> bool {
        let name = record.spec.name.clone();
        let mut slots = self.inner.slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.contains_key(&name) {
            return false;
        }
        slots.insert(name, Slot(Arc::new(ArcSwap::from_pointee(record))));
        self.changed();
        true
    }

    /// Takes a check out; `false` when there is none of that name.
    pub fn remove(&self, name: &str) -> bool {
        let mut slots = self.inner.slots.write().unwrap_or_else(PoisonError::into_inner);
        let removed = slots.remove(name).is_some();
        self.changed();
        removed
    }

    /// The slot of a check.
    pub fn slot(&self, name: &str) -> Option<Slot> {
        self.inner.slots.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Puts a new record into a slot.
    pub fn replace(&self, slot: &Slot, record: Record) {
        slot.0.store(Arc::new(record));
        self.changed();
    }

    /// Goes forward to a phase; going back is ignored.
    pub fn enter(&self, phase: ProcessPhase) {
        if self.inner.phase.fetch_max(phase as u8, Ordering::Relaxed) < phase as u8 {
            self.changed();
        }
    }

    fn changed(&self) {
        self.inner.version.fetch_add(1, Ordering::Release);
    }

    /// Grows with every change of a record or of the phase.
    pub fn version(&self) -> u64 {
        self.inner.version.load(Ordering::Acquire)
    }

    /// Where the process stands.
    pub fn phase(&self) -> ProcessPhase {
        let phase = self.inner.phase.load(Ordering::Relaxed);
        ProcessPhase::ALL[usize::from(phase)]
    }

    /// The newest record of every check.
    pub fn snapshot(&self) -> Snapshot {
        // The version comes first: a change that follows makes this snapshot old, never new.
        let version = self.version();
        let slots = self.inner.slots.read().unwrap_or_else(PoisonError::into_inner);
        let records = slots.values().map(Slot::record).collect();
        Snapshot { version, phase: self.phase(), records }
    }

    /// The number of checks.
    pub fn len(&self) -> usize {
        self.inner.slots.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there are no checks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes that the engine came round.
    pub fn beat(&self, now: Instant) {
        let age = now.saturating_duration_since(self.inner.started);
        let milliseconds = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.inner.heartbeat.store(milliseconds, Ordering::Relaxed);
    }

    /// The time since the engine came round.
    pub fn heartbeat_age(&self, now: Instant) -> Duration {
        let beat = Duration::from_millis(self.inner.heartbeat.load(Ordering::Relaxed));
        now.saturating_duration_since(self.inner.started).saturating_sub(beat)
    }

    /// The time since the store was made.
    pub fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.inner.started)
    }
}
