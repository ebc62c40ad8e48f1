//! What the scheduler knows of a check.

use std::sync::{Arc, OnceLock};

use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::grid::Grid;
use crate::{job::Job, state::Record, store::Slot};

/// A check that is run.
pub(super) struct Entry {
    pub job: Job,
    pub slot: Slot,
    pub grid: Grid,
    pub run: Option<RunUnderWay>,
    /// The retry that is due; others were overtaken.
    pub retry_at: Option<Instant>,
    pub waiters: Vec<oneshot::Sender<Arc<Record>>>,
    pub cancelled: CancellationToken,
}

impl Entry {
    /// Gives the newest record to everyone who asked for a run.
    pub(super) fn answer_waiters(&mut self) {
        for waiter in self.waiters.drain(..) {
            // Whoever asked may have gone away.
            let _ = waiter.send(self.slot.record());
        }
    }
}

/// A run that has not ended.
pub(super) struct RunUnderWay {
    pub number: u64,
    pub started: Arc<OnceLock<Instant>>,
    pub hung: bool,
}
