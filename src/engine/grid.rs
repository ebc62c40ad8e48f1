//! When a check is due: on a grid that no restart moves and on which few checks fall together.

use std::time::Duration;

use tokio::time::Instant;

use crate::hash::hash;

/// The first run of a check comes at once, but not that of all checks in the same moment.
const FIRST_RUN_SPREAD: Duration = Duration::from_secs(1);

/// The moments at which a check is due.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    interval: Duration,
    next: Instant,
}

impl Grid {
    /// The grid of a check: unix time divided into intervals, moved by a hash of the name.
    ///
    /// The wall clock is looked at once; from then on the grid follows the clock that never jumps.
    pub(super) fn new(name: &str, interval: Duration, now: Instant, unix_time: Duration) -> Self {
        let length = interval.as_nanos();
        let offset = u128::from(hash(name.as_bytes())) % length;
        let position = unix_time.as_nanos() % length;
        let wait = (offset + length - position) % length;
        Self { interval, next: now + nanoseconds(wait) }
    }

    /// The next moment at which the check is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Goes on to the first moment after `now`; moments in between are left out, not caught up.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.next <= now {
            let behind = (now - self.next).as_nanos() / self.interval.as_nanos();
            self.next += nanoseconds((behind + 1) * self.interval.as_nanos());
        }
    }
}

/// When the extra first run of a check is due.
pub(super) fn first_run(name: &str, interval: Duration, now: Instant) -> Instant {
    let spread = FIRST_RUN_SPREAD.min(interval).as_nanos();
    // Other bits than those of the grid, so that the two do not go together.
    now + nanoseconds(u128::from(hash(name.as_bytes()).rotate_left(32)) % spread)
}

fn nanoseconds(count: u128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn a_restart_does_not_move_the_grid() {
        let now = Instant::now();
        let before = Grid::new("orders-db", INTERVAL, now, Duration::from_secs(1_000_003));
        let later = now + Duration::from_millis(12_345);
        let unix_later = Duration::from_millis(1_000_003_000 + 12_345);
        let after = Grid::new("orders-db", INTERVAL, later, unix_later);
        let apart = (after.next() - before.next()).as_nanos();
        assert_eq!(apart % INTERVAL.as_nanos(), 0);
    }

    #[test]
    fn late_moments_are_left_out() {
        let now = Instant::now();
        let mut grid = Grid { interval: INTERVAL, next: now };
        grid.advance(now);
        assert_eq!(grid.next(), now + INTERVAL);
        grid.advance(now + Duration::from_secs(47));
        assert_eq!(grid.next(), now + Duration::from_secs(50));
    }

    #[test]
    fn a_thousand_checks_are_spread_over_their_interval() {
        let now = Instant::now();
        let mut per_second = [0_u32; 10];
        for number in 0..1_000 {
            let grid = Grid::new(&format!("check-{number}"), INTERVAL, now, Duration::ZERO);
            per_second[usize::try_from((grid.next() - now).as_secs()).unwrap()] += 1;
            assert!(first_run(&format!("check-{number}"), INTERVAL, now) < now + FIRST_RUN_SPREAD);
        }
        assert!(per_second.iter().all(|count| (60..140).contains(count)), "{per_second:?}");
    }
}
