//! Questions to the kernel that may never be answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use crate::{check::ProbeContext, outcome::Failure};

/// The questions that are open. Each holds a thread until it is answered, so none is asked again
/// before that: what hangs for a week costs one thread.
#[derive(Default)]
pub(super) struct Questions {
    open: Arc<Open>,
}

type Open = Mutex<HashMap<String, Instant>>;

/// The question has been open for this long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unanswered(pub(super) Duration);

impl Questions {
    /// Asks on a thread for blocking work and waits until `until`; `about` tells questions apart.
    ///
    /// # Errors
    /// The question panicked, or the engine has stopped.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        context: &ProbeContext,
        about: &str,
        until: Instant,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Result<T, Unanswered>, Failure> {
        let asked = match lock(&self.open).entry(about.to_owned()) {
            std::collections::hash_map::Entry::Occupied(since) => {
                return Ok(Err(Unanswered(since.get().elapsed())));
            }
            std::collections::hash_map::Entry::Vacant(free) => *free.insert(Instant::now()),
        };
        // It goes along with the question, which outlives this future when it is not answered.
        let closing = Closing { open: self.open.clone(), about: about.to_owned() };
        let answer = context.blocking(move || {
            let _closing = closing;
            question()
        });
        match timeout_at(until, answer).await {
            Ok(answer) => answer.map(Ok),
            Err(_) => Ok(Err(Unanswered(asked.elapsed()))),
        }
    }
}

/// Closes the question also when it panics or is never asked.
struct Closing {
    open: Arc<Open>,
    about: String,
}

impl Drop for Closing {
    fn drop(&mut self) {
        lock(&self.open).remove(&self.about);
    }
}

fn lock(open: &Open) -> MutexGuard<'_, HashMap<String, Instant>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
