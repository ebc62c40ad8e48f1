//! The families of the checks for a registry of the `prometheus` crate.

use std::{collections::HashMap, sync::Arc, time::Instant};

use prometheus::{
    core::{Collector, Desc},
    proto,
};

use super::{
    Metrics,
    exposition::{Base, FamilyType, Sink},
    families::FAMILIES,
};
use crate::state::Snapshot;

/// Shows the families of the checks to a program that gathers its own registry.
///
/// `/metrics` of this crate does not need it.
pub struct CheckCollector {
    metrics: Arc<Metrics>,
    snapshot: Box<dyn Fn() -> Snapshot + Send + Sync>,
    descriptions: Vec<Desc>,
}

impl CheckCollector {
    pub(super) fn new(
        metrics: Arc<Metrics>,
        snapshot: Box<dyn Fn() -> Snapshot + Send + Sync>,
    ) -> Self {
        let describe = |family: &super::families::Family| {
            Desc::new(family.name.to_owned(), family.help.to_owned(), Vec::new(), HashMap::new())
        };
        let mut descriptions: Vec<_> =
            FAMILIES.iter().filter_map(|family| describe(family).ok()).collect();
        descriptions.dedup_by(|one, other| one.fq_name == other.fq_name);
        Self { metrics, snapshot, descriptions }
    }
}

impl Collector for CheckCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut families = Families::default();
        self.metrics.checks.write(&(self.snapshot)(), Instant::now(), &mut families);
        families.finish()
    }
}

#[derive(Default)]
struct Families {
    done: Vec<proto::MetricFamily>,
    current: proto::MetricFamily,
    family_type: Option<FamilyType>,
    /// The buckets of the histogram whose rows are being written.
    buckets: Vec<proto::Bucket>,
    sum: f64,
}

impl Families {
    fn finish(mut self) -> Vec<proto::MetricFamily> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        let family = std::mem::take(&mut self.current);
        if !family.get_metric().is_empty() {
            self.done.push(family);
        }
    }
}

fn label(pair: &(&str, &str)) -> proto::LabelPair {
    let mut label = proto::LabelPair::default();
    label.set_name(pair.0.to_owned());
    label.set_value(pair.1.to_owned());
    label
}

/// A count that was written as a number of a row.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count(value: f64) -> u64 {
    value as u64
}

impl Sink for Families {
    fn family(&mut self, name: &str, help: &str, family_type: FamilyType) {
        self.close();
        self.current.set_name(name.to_owned());
        self.current.set_help(help.to_owned());
        self.current.set_field_type(match family_type {
            FamilyType::Gauge => proto::MetricType::GAUGE,
            FamilyType::Counter => proto::MetricType::COUNTER,
            FamilyType::Histogram => proto::MetricType::HISTOGRAM,
            FamilyType::Summary => proto::MetricType::SUMMARY,
        });
        self.family_type = Some(family_type);
    }

    fn row(&mut self, suffix: &str, base: Base<'_>, labels: &[(&str, &str)], value: f64) {
        let mut metric = proto::Metric::default();
        match (self.family_type, suffix) {
            (Some(FamilyType::Histogram), "_bucket") => {
                let bound = labels.iter().find(|(name, _)| *name == "le").map(|(_, bound)| *bound);
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(
                    bound.and_then(|bound| bound.parse().ok()).unwrap_or(f64::INFINITY),
                );
                bucket.set_cumulative_count(count(value));
                self.buckets.push(bucket);
                return;
            }
            (_, "_sum") => {
                self.sum = value;
                return;
            }
            (Some(FamilyType::Histogram), _) => {
                let mut histogram = proto::Histogram::default();
                histogram.set_bucket(std::mem::take(&mut self.buckets));
                histogram.set_sample_sum(self.sum);
                histogram.set_sample_count(count(value));
                metric.set_histogram(histogram);
            }
            (Some(FamilyType::Summary), _) => {
                let mut summary = proto::Summary::default();
                summary.set_sample_sum(self.sum);
                summary.set_sample_count(count(value));
                metric.set_summary(summary);
            }
            (Some(FamilyType::Counter), _) => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            _ => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        metric.set_label(base.pairs.iter().chain(labels).map(label).collect());
        self.current.mut_metric().push(metric);
    }
}
