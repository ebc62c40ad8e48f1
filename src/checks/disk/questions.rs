//! Questions to the kernel that may never be answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{check::ProbeContext, outcome::Failure};

/// So many threads for blocking work are taken at most, however much hangs: all checks share
/// them.
const THREADS: usize = 4;

/// The questions that are open. Each holds a thread until it is answered, so none is asked again
/// before that: what hangs for a week costs one thread.
pub(super) struct Questions {
    open: Arc<Open>,
    threads: Arc<Semaphore>,
}

type Open = Mutex<HashMap<String, Instant>>;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The question has been open for so long.
    Since(Duration),
    /// Every thread waits for the answer to another question.
    NotAsked,
}

impl Questions {
    pub(super) fn new() -> Self {
        Self { open: Arc::default(), threads: Arc::new(Semaphore::new(THREADS)) }
    }

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
        if let Some(since) = lock(&self.open).get(about) {
            return Ok(Err(Unanswered::Since(since.elapsed())));
        }
        let thread = timeout_at(until, self.threads.clone().acquire_owned()).await;
        let Ok(Ok(thread)) = thread else { return Ok(Err(Unanswered::NotAsked)) };
        let asked = Instant::now();
        lock(&self.open).insert(about.to_owned(), asked);
        // It goes along with the question, which outlives this future when it is not answered.
        let closing = Closing { open: self.open.clone(), about: about.to_owned(), _thread: thread };
        let answer = context.blocking(move || {
            let _closing = closing;
            question()
        });
        match timeout_at(until, answer).await {
            Ok(answer) => answer.map(Ok),
            Err(_) => Ok(Err(Unanswered::Since(asked.elapsed()))),
        }
    }
}

/// Closes the question also when it panics or is never asked.
struct Closing {
    open: Arc<Open>,
    about: String,
    _thread: OwnedSemaphorePermit,
}

impl Drop for Closing {
    fn drop(&mut self) {
        lock(&self.open).remove(&self.about);
    }
}

fn lock(open: &Open) -> MutexGuard<'_, HashMap<String, Instant>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
