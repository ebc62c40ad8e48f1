//! The two text formats in which metrics are exposed.

use std::fmt;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4 of Prometheus.
    Text,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Format {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FamilyType {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
    /// Counts per bucket, with sum and count.
    Histogram,
    /// Sum and count, here without quantiles.
    Summary,
}

impl FamilyType {
    /// The word of both formats.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

impl fmt::Display for FamilyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Labels that many rows share.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Base<'a> {
    /// As they are written: `check="a",kind="http"`.
    pub rendered: &'a str,
    /// One by one.
    pub pairs: &'a [(&'a str, &'a str)],
}

/// Takes families one after another, each with its rows.
pub(super) trait Sink {
    /// Begins a family; its rows follow.
    fn family(&mut self, name: &str, help: &str, family_type: FamilyType);

    /// A row of the family: the labels of `base` and further ones. Histograms and summaries give
    /// their rows with the suffixes `_bucket`, `_sum` and, last, `_count`.
    fn row(&mut self, suffix: &str, base: Base<'_>, labels: &[(&str, &str)], value: f64);
}

/// Writes families as text, every row of a family behind its header.
///
/// Rows are the same in both formats; headers are not.
#[derive(Debug)]
pub(super) struct Exposition {
    format: Format,
    out: Vec<u8>,
    rows: usize,
    name: String,
    /// Written before the first row, so that a family without rows leaves no trace.
    header: Vec<u8>,
}

impl Exposition {
    /// An empty exposition.
    pub(super) fn new(format: Format) -> Self {
        Self { format, out: Vec::new(), rows: 0, name: String::new(), header: Vec::new() }
    }

    /// The rows so far.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The text, to be followed by another block.
    pub(super) fn into_block(self) -> Vec<u8> {
        self.out
    }

    /// The text with the end that the format asks for.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.format == Format::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
        self.out
    }
}

impl Sink for Exposition {
    fn family(&mut self, name: &str, help: &str, family_type: FamilyType) {
        self.name.clear();
        self.name.push_str(name);
        self.header.clear();
        let shown = match (self.format, family_type) {
            (Format::OpenMetrics, FamilyType::Counter) => {
                name.strip_suffix("_total").unwrap_or(name)
            }
            _ => name,
        };
        for (word, text) in [("HELP", help), ("TYPE", family_type.as_str())] {
            self.header.extend_from_slice(b"# ");
            self.header.extend_from_slice(word.as_bytes());
            self.header.push(b' ');
            self.header.extend_from_slice(shown.as_bytes());
            self.header.push(b' ');
            escape(&mut self.header, text, self.format == Format::OpenMetrics);
            self.header.push(b'\n');
        }
    }

    fn row(&mut self, suffix: &str, base: Base<'_>, labels: &[(&str, &str)], value: f64) {
        self.out.append(&mut self.header);
        self.rows += 1;
        self.out.extend_from_slice(self.name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        if !base.rendered.is_empty() || !labels.is_empty() {
            self.out.push(b'{');
            self.out.extend_from_slice(base.rendered.as_bytes());
            let mut separate = !base.rendered.is_empty();
            for (name, value) in labels {
                if separate {
                    self.out.push(b',');
                }
                separate = true;
                write_label(&mut self.out, name, value);
            }
            self.out.push(b'}');
        }
        self.out.push(b' ');
        write_number(&mut self.out, value);
        self.out.push(b'\n');
    }
}

/// Labels that many rows share, rendered once.
pub(super) fn render_labels(labels: &[(&str, &str)]) -> String {
    let mut out = Vec::new();
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_label(&mut out, name, value);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn write_label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    escape(out, value, true);
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            byte => out.push(byte),
        }
    }
}

/// Up to here every whole number is exact as a float and short as an integer.
const MAX_WHOLE: f64 = 1e15;

#[allow(clippy::cast_possible_truncation)]
fn write_number(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < MAX_WHOLE {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
}

/// The value of the label `le`, the same in both formats: `OpenMetrics` wants a float there.
pub(super) fn bucket_bound(bound: f64) -> String {
    if bound.is_infinite() {
        "+Inf".to_owned()
    } else {
        ryu::Buffer::new().format(bound).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(format: Format, write: impl FnOnce(&mut Exposition)) -> String {
        let mut exposition = Exposition::new(format);
        write(&mut exposition);
        String::from_utf8(exposition.finish()).unwrap()
    }

    fn runs(exposition: &mut Exposition) {
        exposition.family("runs_total", "All \"runs\".\nBy \\ outcome.", FamilyType::Counter);
        let base = Base { rendered: "check=\"a\"", pairs: &[("check", "a")] };
        exposition.row("", base, &[("outcome", "a\"b\\c\nd")], 3.0);
        exposition.row("", Base::default(), &[], 0.25);
    }

    #[test]
    fn text_keeps_the_suffix_of_counters() {
        assert_eq!(
            text(Format::Text, runs),
            "# HELP runs_total All \"runs\".\\nBy \\\\ outcome.\n\
             # TYPE runs_total counter\n\
             runs_total{check=\"a\",outcome=\"a\\\"b\\\\c\\nd\"} 3\n\
             runs_total 0.25\n"
        );
    }

    #[test]
    fn openmetrics_moves_the_suffix_and_ends_with_eof() {
        assert_eq!(
            text(Format::OpenMetrics, runs),
            "# HELP runs All \\\"runs\\\".\\nBy \\\\ outcome.\n\
             # TYPE runs counter\n\
             runs_total{check=\"a\",outcome=\"a\\\"b\\\\c\\nd\"} 3\n\
             runs_total 0.25\n\
             # EOF\n"
        );
    }

    #[test]
    fn a_family_without_rows_leaves_no_trace() {
        let empty = text(Format::Text, |exposition| {
            exposition.family("a", "A.", FamilyType::Gauge);
            exposition.family("b", "B.", FamilyType::Gauge);
        });
        assert_eq!(empty, "");
    }

    #[test]
    fn numbers_are_short_and_exact() {
        for (value, shown) in [
            (0.0, "0"),
            (-3.0, "-3"),
            (1_767_323_045.678, "1767323045.678"),
            (0.1, "0.1"),
            (1e300, "1e300"),
            (f64::INFINITY, "+Inf"),
        ] {
            let mut out = Vec::new();
            write_number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
    }
}
