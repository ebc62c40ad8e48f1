//! Families of the `prometheus` crate in our formats.

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

use super::exposition::{Base, FamilyType, Sink, bucket_bound};
use crate::outcome::lossy;

/// Writes families as they come from `Registry::gather`.
pub(super) fn write(families: &[MetricFamily], out: &mut dyn Sink) {
    for family in families {
        let family_type = match family.get_field_type() {
            MetricType::COUNTER => FamilyType::Counter,
            MetricType::HISTOGRAM => FamilyType::Histogram,
            MetricType::SUMMARY => FamilyType::Summary,
            _ => FamilyType::Gauge,
        };
        out.family(family.name(), family.help(), family_type);
        for metric in family.get_metric() {
            let labels: Vec<_> = metric.get_label().iter().map(pair).collect();
            match family_type {
                FamilyType::Counter => {
                    out.row("", Base::default(), &labels, metric.get_counter().get_value());
                }
                FamilyType::Gauge => {
                    out.row("", Base::default(), &labels, metric.get_gauge().get_value());
                }
                FamilyType::Histogram => write_histogram(metric.get_histogram(), &labels, out),
                FamilyType::Summary => write_summary(metric.get_summary(), &labels, out),
            }
        }
    }
}

fn pair(label: &LabelPair) -> (&str, &str) {
    (label.name(), label.value())
}

fn write_histogram(
    histogram: &prometheus::proto::Histogram,
    labels: &[(&str, &str)],
    out: &mut dyn Sink,
) {
    let count = lossy(histogram.get_sample_count());
    let buckets = histogram.get_bucket().iter();
    let finite = buckets
        .filter(|bucket| bucket.upper_bound().is_finite())
        .map(|bucket| (bucket.upper_bound(), lossy(bucket.cumulative_count())));
    for (bound, count) in finite.chain([(f64::INFINITY, count)]) {
        let bound = bucket_bound(bound);
        out.row("_bucket", Base::default(), &[labels, &[("le", &bound)]].concat(), count);
    }
    out.row("_sum", Base::default(), labels, histogram.get_sample_sum());
    out.row("_count", Base::default(), labels, count);
}

fn write_summary(
    summary: &prometheus::proto::Summary,
    labels: &[(&str, &str)],
    out: &mut dyn Sink,
) {
    for quantile in summary.get_quantile() {
        let bound = bucket_bound(quantile.quantile());
        out.row("", Base::default(), &[labels, &[("quantile", &bound)]].concat(), quantile.value());
    }
    out.row("_sum", Base::default(), labels, summary.sample_sum());
    out.row("_count", Base::default(), labels, lossy(summary.sample_count()));
}
