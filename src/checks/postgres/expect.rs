//! What the value of the query is expected to be.

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::outcome::{Reason, Verdict};

/// What the first column of the first row is to be; every key that is set must hold.
///
/// Values are compared as the text that psql shows. A row without a value (`null`) counts as no
/// value.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExpectParams {
    /// The exact text; `true` and `false` also match the `t` and `f` of a boolean.
    equals: Option<String>,
    /// Any text but this one.
    not_equals: Option<String>,
    /// A regular expression that matches somewhere in the text; anchor it with `^` and `$`.
    matches: Option<String>,
    /// A number that is greater than this.
    above: Option<f64>,
    /// A number that is less than this.
    below: Option<f64>,
    /// `true`: there is a value; `false`: there is none.
    exists: Option<bool>,
}

impl ExpectParams {
    fn wants_value(&self) -> bool {
        let texts = [&self.equals, &self.not_equals, &self.matches];
        texts.iter().any(|text| text.is_some()) || self.above.or(self.below).is_some()
    }
}

/// Expectations whose regular expression has been read; by default anything will do.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    params: ExpectParams,
    pattern: Option<Regex>,
}

impl Expectation {
    /// The expectation that the keys describe, or what is wrong at which key.
    pub(super) fn new(params: ExpectParams) -> Result<Self, Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        let pattern = params.matches.as_deref().map(Regex::new).transpose().unwrap_or_else(|_| {
            problems.push(("matches", "expected a regular expression".to_owned()));
            None
        });
        for (key, number) in [("above", params.above), ("below", params.below)] {
            if number.is_some_and(|number| !number.is_finite()) {
                problems.push((key, "expected a finite number".to_owned()));
            }
        }
        if let (Some(above), Some(below)) = (params.above, params.below)
            && above >= below
        {
            let message = format!("expected less than `below` ({below}), found {above}");
            problems.push(("above", message));
        }
        match params.exists {
            Some(false) if params.wants_value() => {
                problems
                    .push(("exists", "expected no other key beside `exists: false`".to_owned()));
            }
            None if !params.wants_value() => {
                let message = "expected one of `equals`, `not_equals`, `matches`, `above`, \
                               `below`, `exists`";
                problems.push(("", message.to_owned()));
            }
            _ => {}
        }
        if problems.is_empty() { Ok(Self { params, pattern }) } else { Err(problems) }
    }

    /// Holds the value against the expectation; the text itself is never published.
    pub(super) fn judge(&self, value: Option<&str>) -> Verdict {
        let params = &self.params;
        let text = match (value, params.exists) {
            (None, None) if !params.wants_value() => return Verdict::Healthy,
            (None, Some(false)) => return Verdict::Healthy,
            (None, _) => return unmet("expected a value, found none"),
            (Some(_), Some(false)) => return unmet("expected no value, found one"),
            (Some(text), _) => text,
        };
        if params.equals.as_deref().is_some_and(|expected| !same(expected, text)) {
            return unmet("the value is not equal to the one expected");
        }
        if params.not_equals.as_deref().is_some_and(|refused| same(refused, text)) {
            return unmet("the value equals the one that it must not be");
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            return unmet("the value does not match the regular expression");
        }
        if params.above.or(params.below).is_none() {
            return Verdict::Healthy;
        }
        let Some(number) = number(text) else {
            return unmet("expected a number, found something else");
        };
        match (params.above, params.below) {
            (Some(limit), _) if number <= limit => unmet(&format!("{number} is not above {limit}")),
            (_, Some(limit)) if number >= limit => unmet(&format!("{number} is not below {limit}")),
            _ => Verdict::Healthy,
        }
    }
}

/// A number as PostgreSQL prints it; `t` and `f` are 1 and 0.
pub(super) fn number(text: &str) -> Option<f64> {
    match text {
        "t" => Some(1.0),
        "f" => Some(0.0),
        _ => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

fn same(expected: &str, text: &str) -> bool {
    expected == text || matches!((expected, text), ("true", "t") | ("false", "f"))
}

fn unmet(what: &str) -> Verdict {
    Verdict::unhealthy(Reason::Assertion, format!("query: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(text: &str) -> Result<Expectation, Vec<(&'static str, String)>> {
        let node = crate::node::parse(text, "f.yml").unwrap();
        Expectation::new(crate::node::decode(&node, "expect").unwrap())
    }

    #[test]
    fn a_value_is_held_against_every_key() {
        for (keys, value, met) in [
            ("{equals: 1}", Some("1"), true),
            ("{equals: 1}", Some("1.0"), false),
            ("{equals: 1}", None, false),
            ("{equals: true}", Some("t"), true),
            ("{equals: true}", Some("f"), false),
            ("{not_equals: false}", Some("f"), false),
            ("{not_equals: stuck}", Some("done"), true),
            ("{matches: '^ok'}", Some("ok then"), true),
            ("{matches: '^ok'}", Some("not ok"), false),
            ("{above: 1, below: 3}", Some("2"), true),
            ("{above: 1, below: 3}", Some("3"), false),
            ("{above: 1}", Some("1"), false),
            ("{above: 1}", Some("many"), false),
            ("{exists: true}", Some(""), true),
            ("{exists: true}", None, false),
            ("{exists: false}", None, true),
            ("{exists: false}", Some("1"), false),
        ] {
            let verdict = expectation(keys).unwrap().judge(value);
            assert_eq!(verdict == Verdict::Healthy, met, "{keys} {value:?}");
        }
        assert_eq!(Expectation::default().judge(None), Verdict::Healthy);
    }

    #[test]
    fn a_message_shows_numbers_but_no_texts() {
        let message = |keys, value| match expectation(keys).unwrap().judge(Some(value)) {
            Verdict::Unhealthy(finding) => finding.message,
            other => panic!("{other:?}"),
        };
        assert_eq!(message("{below: 10}", "17"), "query: 17 is not below 10");
        assert_eq!(
            message("{equals: a}", "secret"),
            "query: the value is not equal to the one expected"
        );
        assert_eq!(
            message("{below: 10}", "secret"),
            "query: expected a number, found something else"
        );
    }

    #[test]
    fn expectations_that_cannot_be_met_or_missed_are_refused() {
        for (keys, key, message) in [
            ("{matches: '('}", "matches", "expected a regular expression"),
            ("{above: inf}", "above", "expected a finite number"),
            ("{above: 3, below: 1}", "above", "expected less than `below` (1), found 3"),
            (
                "{exists: false, equals: 1}",
                "exists",
                "expected no other key beside `exists: false`",
            ),
        ] {
            assert_eq!(expectation(keys).unwrap_err(), [(key, message.to_owned())], "{keys}");
        }
        assert_eq!(expectation("{}").unwrap_err().len(), 1);
    }
}
