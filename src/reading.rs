//! One value that a probe brings back, and the metric family it belongs to.

use std::{fmt, sync::Arc};

/// How Prometheus is to treat the values of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// A value that goes up and down.
    Gauge,
    /// A total that only grows, except when its source restarts.
    Counter,
}

impl MetricType {
    /// The word of the exposition formats.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// The definition of a metric family: its name, help text, type and own labels.
///
/// Every series carries `check`, `kind` and `group` besides the labels named here. Cloning is
/// cheap.
#[derive(Clone)]
pub struct ReadingDef {
    text: Text,
    metric_type: MetricType,
    lasting: bool,
    only_in_full: bool,
}

#[derive(Clone)]
enum Text {
    Static { name: &'static str, help: &'static str, labels: &'static [&'static str] },
    Shared(Arc<OwnedText>),
}

struct OwnedText {
    name: String,
    help: String,
    labels: Vec<String>,
}

impl ReadingDef {
    /// A gauge that is known when the program is written.
    pub const fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        let text = Text::Static { name, help, labels };
        Self { text, metric_type: MetricType::Gauge, lasting: false, only_in_full: false }
    }

    /// A counter that is known when the program is written; the name ends in `_total`.
    pub const fn counter(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        let text = Text::Static { name, help, labels };
        Self { text, metric_type: MetricType::Counter, lasting: false, only_in_full: false }
    }

    /// A gauge that a user defines, by a query for instance.
    pub fn custom_gauge(name: String, help: String, labels: Vec<String>) -> Self {
        let text = Text::Shared(Arc::new(OwnedText { name, help, labels }));
        Self { text, metric_type: MetricType::Gauge, lasting: false, only_in_full: false }
    }

    /// The value is a dated fact, such as the day a certificate expires: it stays until a later
    /// run reads it again, also when that run fails.
    #[must_use]
    pub const fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// No alert needs the value, so it is left out where `metrics.detail` is `compact`.
    #[must_use]
    pub const fn only_in_full(mut self) -> Self {
        self.only_in_full = true;
        self
    }

    /// The name of the family.
    pub fn name(&self) -> &str {
        match &self.text {
            Text::Static { name, .. } => name,
            Text::Shared(text) => &text.name,
        }
    }

    /// The help text of the family.
    pub fn help(&self) -> &str {
        match &self.text {
            Text::Static { help, .. } => help,
            Text::Shared(text) => &text.help,
        }
    }

    /// The names of the family's own labels, in the order in which values are given.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = &str> {
        let count = match &self.text {
            Text::Static { labels, .. } => labels.len(),
            Text::Shared(text) => text.labels.len(),
        };
        (0..count).map(|index| match &self.text {
            Text::Static { labels, .. } => labels[index],
            Text::Shared(text) => text.labels[index].as_str(),
        })
    }

    /// Gauge or counter.
    pub fn metric_type(&self) -> MetricType {
        self.metric_type
    }

    /// Whether it is left out of compact metrics; see [`ReadingDef::only_in_full`].
    pub fn is_only_in_full(&self) -> bool {
        self.only_in_full
    }

    /// Whether a value outlives a run that does not read it; see [`ReadingDef::lasting`].
    pub fn is_lasting(&self) -> bool {
        self.lasting
    }
}

impl PartialEq for ReadingDef {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
            && self.metric_type == other.metric_type
            && self.help() == other.help()
            && self.labels().eq(other.labels())
    }
}

impl fmt::Debug for ReadingDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric_type.as_str(), self.name())
    }
}

/// One value of a family, with the values of the family's own labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The family.
    pub def: ReadingDef,
    /// As many values as the family has labels.
    pub labels: Box<[Box<str>]>,
    /// A finite number.
    pub value: f64,
}
