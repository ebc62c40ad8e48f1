//! How late the event loop that runs the probes comes round.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How often the lag is measured.
const PERIOD: Duration = Duration::from_secs(1);

/// The worst lag since somebody last asked.
#[derive(Debug, Default)]
pub struct LagMeter {
    worst_nanoseconds: AtomicU64,
}

impl LagMeter {
    /// Measures on the runtime it is awaited on, for ever; `observe` sees every sample.
    pub async fn run(&self, observe: impl Fn(Duration)) {
        loop {
            let due = Instant::now() + PERIOD;
            sleep_until(due).await;
            let lag = due.elapsed();
            let nanoseconds = u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX);
            self.worst_nanoseconds.fetch_max(nanoseconds, Ordering::Relaxed);
            observe(lag);
        }
    }

    /// The worst sample since the last call.
    pub fn take_worst(&self) -> Duration {
        Duration::from_nanos(self.worst_nanoseconds.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_is_held_up_shows_its_lag_once() {
        let meter = LagMeter::default();
        let held_up = async {
            tokio::time::sleep(PERIOD / 2).await;
            tokio::time::advance(PERIOD).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        tokio::select! {
            () = meter.run(|_| ()) => {}
            () = held_up => {}
        }
        assert!(meter.take_worst() >= PERIOD / 2);
        assert_eq!(meter.take_worst(), Duration::ZERO);
    }
}
