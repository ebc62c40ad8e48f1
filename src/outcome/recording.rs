//! What a run learns on its way.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use super::Phase;
use crate::reading::{Reading, ReadingDef};

/// A value shown in the details of a check.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A number; one that is not finite is left out.
    Number(f64),
    /// A yes or no.
    Bool(bool),
    /// A short text.
    Text(String),
}

macro_rules! scalar_from {
    ($($type:ty => |$value:ident| $scalar:expr;)*) => {
        $(impl From<$type> for Scalar {
            fn from($value: $type) -> Self { $scalar }
        })*
    };
}

scalar_from! {
    f64 => |value| Self::Number(value);
    f32 => |value| Self::Number(value.into());
    u8 => |value| Self::Number(value.into());
    u16 => |value| Self::Number(value.into());
    u32 => |value| Self::Number(value.into());
    i32 => |value| Self::Number(value.into());
    u64 => |value| Self::Number(lossy(value));
    usize => |value| Self::Number(lossy(value as u64));
    i64 => |value| Self::Number(if value < 0 { -lossy(value.unsigned_abs()) } else { lossy(value.unsigned_abs()) });
    bool => |value| Self::Bool(value);
    &str => |value| Self::Text(value.to_owned());
    String => |value| Self::Text(value);
}

/// A count as the floating point number that Prometheus wants; exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub const fn lossy(count: u64) -> f64 {
    count as f64
}

/// What a run learned on its way, whatever became of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// How long each phase took, in the order in which they were first reached.
    pub phases: Vec<(Phase, Duration)>,
    /// Values for the metrics.
    pub readings: Vec<Reading>,
    /// Values for the health document, at most [`Recording::MAX_DETAILS`].
    pub details: Vec<(Cow<'static, str>, Scalar)>,
    open: Option<(Phase, Instant)>,
}

impl Recording {
    /// More keys than this are dropped from the details.
    pub const MAX_DETAILS: usize = 32;
    const MAX_TEXT: usize = 256;

    /// Ends the phase that is open and begins the next; a phase that comes again adds up.
    pub fn begin(&mut self, phase: Phase, now: Instant) {
        self.end_phase(now);
        self.open = Some((phase, now));
    }

    /// Ends the phase that is open.
    pub fn end_phase(&mut self, now: Instant) {
        if let Some((phase, began)) = self.open.take() {
            self.add_phase(phase, now.saturating_duration_since(began));
        }
    }

    /// Adds a time that was measured elsewhere.
    pub fn add_phase(&mut self, phase: Phase, time: Duration) {
        match self.phases.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, sum)) => *sum += time,
            None => self.phases.push((phase, time)),
        }
    }

    /// The phase that was begun and not ended.
    pub fn open_phase(&self) -> Option<Phase> {
        self.open.map(|(phase, _)| phase)
    }

    /// Keeps one value; the same series again replaces it. A value that is not finite, or whose
    /// labels do not fit the family, is dropped.
    pub fn read(&mut self, def: &ReadingDef, labels: &[&str], value: f64) {
        debug_assert_eq!(def.labels().len(), labels.len(), "labels of {}", def.name());
        if !value.is_finite() || def.labels().len() != labels.len() {
            return;
        }
        let same = |known: &&mut Reading| {
            known.def.name() == def.name()
                && known.labels.iter().map(AsRef::as_ref).eq(labels.iter().copied())
        };
        if let Some(known) = self.readings.iter_mut().find(same) {
            known.value = value;
        } else {
            let labels = labels.iter().map(|label| Box::from(*label)).collect();
            self.readings.push(Reading { def: def.clone(), labels, value });
        }
    }

    /// Keeps one detail; the same key again replaces it.
    pub fn detail(&mut self, key: impl Into<Cow<'static, str>>, value: Scalar) {
        let key = key.into();
        let value = match value {
            Scalar::Number(number) if !number.is_finite() => return,
            Scalar::Text(text) => Scalar::Text(text.chars().take(Self::MAX_TEXT).collect()),
            other => other,
        };
        if let Some((_, kept)) = self.details.iter_mut().find(|(known, _)| *known == key) {
            *kept = value;
        } else if self.details.len() < Self::MAX_DETAILS {
            self.details.push((key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_comes_again_adds_up() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut recording = Recording::default();
        recording.begin(Phase::Connect, at(0));
        recording.begin(Phase::Processing, at(10));
        recording.begin(Phase::Connect, at(30));
        recording.end_phase(at(35));
        let expected = [
            (Phase::Connect, Duration::from_millis(15)),
            (Phase::Processing, Duration::from_millis(20)),
        ];
        assert_eq!(recording.phases, expected);
    }

    #[test]
    fn the_same_series_again_replaces_its_value() {
        const QUEUE: ReadingDef = ReadingDef::gauge("queue", "Queue.", &["name"]);
        let mut recording = Recording::default();
        for (name, value) in [("a", 1.0), ("b", 2.0), ("a", 3.0)] {
            recording.read(&QUEUE, &[name], value);
        }
        let values: Vec<_> = recording.readings.iter().map(|reading| reading.value).collect();
        assert_eq!(values, [3.0, 2.0]);
    }

    #[test]
    fn values_that_are_not_finite_are_dropped() {
        const LOAD: ReadingDef = ReadingDef::gauge("load", "Load.", &[]);
        let mut recording = Recording::default();
        recording.read(&LOAD, &[], f64::NAN);
        recording.detail("load", f64::INFINITY.into());
        assert_eq!(recording, Recording::default());
    }
}
