//! How many runs may be under way at once, in all and per host.

use std::{collections::HashMap, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::metrics::OwnMetrics;

/// The limits of an engine.
pub(super) struct Permits {
    all: Option<Arc<Semaphore>>,
    per_host: usize,
    hosts: HashMap<String, Arc<Semaphore>>,
    own: OwnMetrics,
}

impl Permits {
    /// Limits in all and per host; 0 = none.
    pub(super) fn new(all: usize, per_host: usize, own: OwnMetrics) -> Self {
        let semaphore =
            |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        let all = (all > 0).then(|| semaphore(all));
        let per_host = per_host.min(Semaphore::MAX_PERMITS);
        Self { all, per_host, hosts: HashMap::new(), own }
    }

    /// What a run against `host` has to acquire.
    pub(super) fn claim(&mut self, host: Option<&str>) -> Claim {
        let host = host.filter(|_| self.per_host > 0).map(|host| {
            let new = || Arc::new(Semaphore::new(self.per_host));
            self.hosts.entry(host.to_owned()).or_insert_with(new).clone()
        });
        Claim { host, all: self.all.clone(), own: self.own.clone() }
    }

    /// Forgets hosts that nobody claims any more.
    pub(super) fn forget_unused(&mut self) {
        self.hosts.retain(|_, host| {
            Arc::strong_count(host) > 1 || host.available_permits() < self.per_host
        });
    }
}

/// Permits that are still to be had.
pub(super) struct Claim {
    host: Option<Arc<Semaphore>>,
    all: Option<Arc<Semaphore>>,
    own: OwnMetrics,
}

/// Permits in hand; given back when dropped.
pub(super) struct Permit {
    _host: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
    _in_use: Counted,
}

impl Claim {
    /// Waits for the host first, so that runs against a slow host hold nobody else up.
    pub(super) async fn acquire(self) -> Permit {
        let asked = Instant::now();
        let waiting = Counted::new(&self.own, "waiting");
        let host = acquire(self.host).await;
        let all = acquire(self.all).await;
        drop(waiting);
        self.own.permit_wait.observe(asked.elapsed().as_secs_f64());
        Permit { _host: host, _all: all, _in_use: Counted::new(&self.own, "in_use") }
    }
}

async fn acquire(semaphore: Option<Arc<Semaphore>>) -> Option<OwnedSemaphorePermit> {
    // A semaphore that is never closed always gives a permit in the end.
    semaphore?.acquire_owned().await.ok()
}

/// One more in a gauge, for as long as it lives.
struct Counted(prometheus::IntGauge);

impl Counted {
    fn new(own: &OwnMetrics, state: &str) -> Self {
        let gauge = own.permits.with_label_values(&[state]);
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
