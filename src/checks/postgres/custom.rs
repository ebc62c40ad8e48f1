//! Metrics that the configuration defines by SQL.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::SimpleQueryRow;

use super::{
    expect::number,
    failure,
    session::{Answer, Session, Unanswered},
};
use crate::{
    check::ProbeContext,
    outcome::{Failure, Reason, Verdict},
    reading::ReadingDef,
    units::Limits,
};

const PREFIX: &str = "health_custom_";
/// What the exporter adds to every series, and what a limit is told apart by.
const TAKEN_LABELS: [&str; 6] = ["check", "kind", "group", "job", "instance", "level"];
const MAX_LABEL_CHARS: usize = 128;

/// A gauge whose values a query returns, one series for each row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricParams {
    /// Name of the metric; `health_custom_` is put before it unless it begins so.
    name: String,
    /// What the value means, for people who read the metrics.
    help: String,
    /// One statement that only reads.
    query: String,
    /// Column of the value; by default the only column that is not a label. A row whose value is
    /// null is left out.
    #[serde(default)]
    value: Option<String>,
    /// Columns that become labels; null becomes an empty label. None by default.
    #[serde(default)]
    labels: Vec<String>,
    /// Upper limits of every value: at or above `warning` the check is degraded, at or above
    /// `critical` unhealthy. Off by default.
    #[serde(default)]
    above: Option<Limits<f64>>,
    /// Lower limits of every value: below `warning` the check is degraded, below `critical`
    /// unhealthy. Off by default.
    #[serde(default)]
    below: Option<Limits<f64>>,
    /// More rows than this are an error, and none is kept; at most 10000. 200 by default.
    #[serde(default = "default_max_rows")]
    max_rows: usize,
}

fn default_max_rows() -> usize {
    200
}

/// A metric that can be asked for.
pub(super) struct CustomMetric {
    params: MetricParams,
    family: ReadingDef,
    threshold: ReadingDef,
}

impl CustomMetric {
    /// The metric that the keys describe, or what is wrong at which key.
    pub(super) fn new(params: MetricParams) -> Result<Self, Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, key, message: &str| {
            if !holds {
                problems.push((key, format!("expected {message}")));
            }
        };
        let name = params.name.strip_prefix(PREFIX).unwrap_or(&params.name);
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        expect(
            !name.is_empty() && name.len() <= 100 && name.chars().all(is_word),
            "name",
            "1 to 100 of a-z, 0-9 and `_`",
        );
        expect(!name.ends_with("_total"), "name", "no `_total` at the end, which marks counters");
        expect(!params.help.trim().is_empty(), "help", "a sentence");
        expect(!params.query.trim().is_empty(), "query", "a statement");
        let valid = |label: &String| {
            let starts_well = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            starts_well
                && !label.starts_with("__")
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        expect(
            params.labels.iter().all(valid),
            "labels",
            "names of a-z, A-Z, 0-9 and `_` that begin with a letter",
        );
        expect(
            !params.labels.iter().any(|label| TAKEN_LABELS.contains(&label.as_str())),
            "labels",
            &format!("none of {}, which the exporter or Prometheus sets", TAKEN_LABELS.join(", ")),
        );
        let distinct: HashSet<_> = params.labels.iter().chain(&params.value).collect();
        expect(
            distinct.len() == params.labels.len() + usize::from(params.value.is_some()),
            "labels",
            "every column once, and not the one of `value`",
        );
        let limits = [params.above, params.below];
        let finite = |limits: &Limits<f64>| limits.levels().all(|(_, limit)| limit.is_finite());
        expect(params.above.is_none_or(|limits| finite(&limits)), "above", "finite numbers");
        expect(params.below.is_none_or(|limits| finite(&limits)), "below", "finite numbers");
        expect(
            params.above.is_none_or(|limits| limits.rise()),
            "above",
            "a warning that is not above critical",
        );
        expect(
            params.below.is_none_or(|limits| limits.fall()),
            "below",
            "a warning that is not below critical",
        );
        expect(limits.iter().flatten().count() < 2, "below", "not both `above` and `below`");
        expect((1..=10_000).contains(&params.max_rows), "max_rows", "1 to 10000 rows");
        if !problems.is_empty() {
            return Err(problems);
        }
        let name = format!("{PREFIX}{name}");
        let threshold = ReadingDef::custom_gauge(
            format!("{name}_threshold"),
            format!("Configured limit of {name}."),
            vec!["level".to_owned()],
        );
        let help = params.help.clone();
        let family = ReadingDef::custom_gauge(name, help, params.labels.clone());
        Ok(Self { params, family, threshold })
    }

    /// The families that it fills.
    pub(super) fn families(&self) -> impl Iterator<Item = &ReadingDef> {
        let limited = self.limits().is_some();
        std::iter::once(&self.family).chain(limited.then_some(&self.threshold))
    }

    /// Records the configured limits.
    pub(super) fn read_thresholds(&self, context: &ProbeContext) {
        for (level, limit) in self.limits().into_iter().flat_map(Limits::levels) {
            context.read(&self.threshold, &[level.as_str()], limit);
        }
    }

    /// Asks for the values, records and judges them. A metric that cannot be read degrades the
    /// check, for the server itself works.
    pub(super) async fn read(
        &self,
        session: &mut Session<'_>,
        context: &ProbeContext,
    ) -> Result<Verdict, Failure> {
        let broken = |reason, message: &str| {
            Ok(Verdict::degraded(reason, format!("{}: {message}", self.family.name())))
        };
        let answer = match session.ask(&self.params.query, self.params.max_rows).await {
            Ok(answer) => answer,
            Err(Unanswered::Refused(code, _)) => {
                let (reason, message) = failure::of_configured(&code);
                return broken(reason, &message);
            }
            Err(Unanswered::NotOne) => return broken(Reason::Config, failure::NOT_ONE),
            Err(Unanswered::Lost(failure)) => return Err(failure),
        };
        let series = match self.series(&answer) {
            Ok(series) => series,
            Err(message) => return broken(Reason::Config, &message),
        };
        let mut verdict = Verdict::Healthy;
        for (labels, value) in series {
            context.read(&self.family, &labels, value);
            verdict = verdict.and(self.judge(value));
        }
        Ok(verdict)
    }

    fn limits(&self) -> Option<&Limits<f64>> {
        self.params.above.as_ref().or(self.params.below.as_ref())
    }

    fn judge(&self, value: f64) -> Verdict {
        let (name, show) = (self.family.name(), |number: f64| number.to_string());
        match (&self.params.above, &self.params.below) {
            (Some(limits), _) => Verdict::above(name, value, limits, show),
            (None, Some(limits)) => Verdict::below(name, value, limits, show),
            (None, None) => Verdict::Healthy,
        }
    }

    /// The values with their labels.
    fn series<'a>(&self, answer: &'a Answer) -> Result<Vec<(Vec<&'a str>, f64)>, String> {
        if answer.more {
            return Err(format!("it returns more than {} rows", self.params.max_rows));
        }
        let Some(first) = answer.rows.first() else { return Ok(Vec::new()) };
        let value = self.value_column(first)?;
        let labels: Vec<_> = self
            .params
            .labels
            .iter()
            .map(|label| column(first, label))
            .collect::<Result<_, _>>()?;
        let mut known = HashSet::new();
        let mut series = Vec::new();
        for row in &answer.rows {
            let text = |column| row.try_get(column).ok().flatten();
            let Some(value) = text(value) else { continue };
            let value = number(value).ok_or("the value is not a finite number")?;
            let labels: Vec<&str> =
                labels.iter().map(|column| text(*column).unwrap_or_default()).collect();
            if labels.iter().any(|label| label.chars().count() > MAX_LABEL_CHARS) {
                return Err(format!("a label has more than {MAX_LABEL_CHARS} characters"));
            }
            if !known.insert(labels.clone()) {
                return Err("two rows have the same labels".to_owned());
            }
            series.push((labels, value));
        }
        Ok(series)
    }

    fn value_column(&self, row: &SimpleQueryRow) -> Result<usize, String> {
        if let Some(name) = &self.params.value {
            return column(row, name);
        }
        let is_label = |name: &str| self.params.labels.iter().any(|label| label == name);
        let mut values = (0..row.len()).filter(|index| !is_label(row.columns()[*index].name()));
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err("expected one column beside the labels, or the key `value`".to_owned()),
        }
    }
}

fn column(row: &SimpleQueryRow, name: &str) -> Result<usize, String> {
    let mut columns = row.columns().iter();
    columns
        .position(|column| column.name() == name)
        .ok_or_else(|| format!("it returns no column `{name}`"))
}
