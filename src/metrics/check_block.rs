//! The part of the exposition that is about checks: encoded by the first reader after a change
//! and shared by those that follow.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::{
    exposition::{Base, Exposition, FamilyType, Format, Sink, render_labels},
    families::{FAMILIES, Shown, View},
};
use crate::{
    config::Detail,
    job::Spec,
    name::Name,
    reading::{MetricType, Reading},
    state::{Health, Snapshot, aggregate},
};

/// An encoded check block, valid for one version of the store and for a time.
#[derive(Debug)]
pub(super) struct CheckBlock {
    version: u64,
    valid_until: Instant,
    /// The number of rows.
    pub rows: usize,
    plain: Bytes,
    compressed: OnceLock<Bytes>,
}

impl CheckBlock {
    pub(super) fn plain(&self) -> Bytes {
        self.plain.clone()
    }

    /// The block as a gzip member of its own.
    pub(super) fn compressed(&self) -> Bytes {
        self.compressed.get_or_init(|| compress(&self.plain)).clone()
    }
}

/// One gzip member; members may follow one another.
pub(super) fn compress(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 8), Compression::fast());
    // Writing into memory does not fail.
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

/// Encodes check blocks and keeps the newest of each format.
pub(super) struct CheckBlocks {
    detail: Detail,
    text: Mutex<Option<Arc<CheckBlock>>>,
    openmetrics: Mutex<Option<Arc<CheckBlock>>>,
    base_labels: Mutex<HashMap<Name, BaseLabels>>,
}

/// The labels `check`, `kind` and `group` of a check, rendered once per registration.
struct BaseLabels {
    spec: Arc<Spec>,
    rendered: Arc<str>,
}

/// Counters of time move on although nothing happens, so a block is not kept for longer.
const LONGEST_VALIDITY: Duration = Duration::from_secs(5);

impl CheckBlocks {
    pub(super) fn new(detail: Detail) -> Self {
        Self {
            detail,
            text: Mutex::default(),
            openmetrics: Mutex::default(),
            base_labels: Mutex::default(),
        }
    }

    /// The block for the version of the store that `snapshot` would have; whoever comes while one
    /// is encoded waits for that one.
    pub(super) fn get(
        &self,
        format: Format,
        version: u64,
        now: Instant,
        snapshot: impl FnOnce() -> Snapshot,
    ) -> Arc<CheckBlock> {
        let cache = match format {
            Format::Text => &self.text,
            Format::OpenMetrics => &self.openmetrics,
        };
        let mut cached = cache.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some(block) if block.version == version && now < block.valid_until => block.clone(),
            _ => cached.insert(Arc::new(self.encode(&snapshot(), now, format))).clone(),
        }
    }

    fn encode(&self, snapshot: &Snapshot, now: Instant, format: Format) -> CheckBlock {
        let mut out = Exposition::new(format);
        self.write(snapshot, now, &mut out);
        let next_edge = snapshot.records.iter().filter_map(|record| record.stale_at());
        let next_edge = next_edge.filter(|edge| *edge > now).min();
        let longest = now + LONGEST_VALIDITY;
        CheckBlock {
            version: snapshot.version,
            valid_until: next_edge.map_or(longest, |edge| edge.min(longest)),
            rows: out.rows(),
            plain: out.into_block().into(),
            compressed: OnceLock::new(),
        }
    }

    /// Writes every family of every check.
    pub(super) fn write(&self, snapshot: &Snapshot, now: Instant, out: &mut dyn Sink) {
        let bases = self.base_labels(snapshot);
        let views: Vec<_> = snapshot
            .records
            .iter()
            .zip(&bases)
            .map(|(record, base)| View::new(record, base, now))
            .collect();
        let hidden = match self.detail {
            Detail::Full => Shown::Compact,
            Detail::Compact => Shown::Full,
        };
        for family in FAMILIES.iter().filter(|family| family.detail != hidden) {
            out.family(family.name, family.help, family.metric_type);
            for view in &views {
                (family.rows)(view, out);
            }
        }
        write_readings(&views, self.detail, out);
        write_groups(&views, snapshot, out);
    }

    fn base_labels(&self, snapshot: &Snapshot) -> Vec<Arc<str>> {
        let mut rendered = self.base_labels.lock().unwrap_or_else(PoisonError::into_inner);
        let bases = snapshot
            .records
            .iter()
            .map(|record| {
                let spec = &record.spec;
                // A name may have been registered again with another group.
                if let Some(known) = rendered.get(&spec.name)
                    && Arc::ptr_eq(&known.spec, spec)
                {
                    return known.rendered.clone();
                }
                let labels = [
                    ("check", spec.name.as_str()),
                    ("kind", spec.kind.name),
                    ("group", spec.group.as_str()),
                ];
                let base: Arc<str> = render_labels(&labels).into();
                let labels = BaseLabels { spec: spec.clone(), rendered: base.clone() };
                rendered.insert(spec.name.clone(), labels);
                base
            })
            .collect();
        if rendered.len() > snapshot.records.len() {
            rendered.retain(|name, _| snapshot.get(name.as_str()).is_some());
        }
        bases
    }
}

/// Writes what probes have read, family by family.
fn write_readings(views: &[View<'_>], detail: Detail, out: &mut dyn Sink) {
    let mut families: BTreeMap<&str, Vec<(&View<'_>, &Reading)>> = BTreeMap::new();
    for view in views {
        let shown = |reading: &&Reading| detail == Detail::Full || !reading.def.is_only_in_full();
        for reading in view.record.readings.iter().filter(shown) {
            families.entry(reading.def.name()).or_default().push((view, reading));
        }
    }
    for (name, rows) in families {
        let def = &rows[0].1.def;
        let family_type = match def.metric_type() {
            MetricType::Gauge => FamilyType::Gauge,
            MetricType::Counter => FamilyType::Counter,
        };
        out.family(name, def.help(), family_type);
        for (view, reading) in rows {
            let values = reading.labels.iter().map(|value| &**value);
            let labels: Vec<_> = reading.def.labels().zip(values).collect();
            out.row("", view.base(), &labels, reading.value);
        }
    }
}

/// The family of [`write_groups`] that says whether a group does its work.
pub(super) const GROUP_UP: (&str, &str) =
    ("health_group_up", "Whether the checks of the group add up to healthy or degraded.");
/// The family of [`write_groups`] that says what a group's checks add up to.
pub(super) const GROUP_STATE: (&str, &str) = (
    "health_group_state",
    "What the checks of the group add up to: 1 for what holds, 0 for the others.",
);

fn write_groups(views: &[View<'_>], snapshot: &Snapshot, out: &mut dyn Sink) {
    let mut groups: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for view in views {
        let spec = &view.record.spec;
        groups.entry(spec.group.as_str()).or_default().push((view.judged.state, spec.importance));
    }
    let health: Vec<_> = groups
        .into_iter()
        .map(|(group, checks)| (group, aggregate(checks, snapshot.phase)))
        .collect();
    out.family(GROUP_UP.0, GROUP_UP.1, FamilyType::Gauge);
    for (group, health) in &health {
        out.row(
            "",
            Base::default(),
            &[("group", group)],
            f64::from(u8::from(*health != Health::Unhealthy)),
        );
    }
    out.family(GROUP_STATE.0, GROUP_STATE.1, FamilyType::Gauge);
    for (group, health) in &health {
        for state in Health::ALL {
            let holds = f64::from(u8::from(state == *health));
            out.row("", Base::default(), &[("group", group), ("state", state.as_str())], holds);
        }
    }
}
