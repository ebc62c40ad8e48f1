//! What a JSON body is to hold.

use std::fmt;

use regex::bytes::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::patterns::{compile, short};

/// An assertion about a JSON body. The path must select something, and everything that it selects
/// must pass every comparison given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonParams {
    /// What to look at, a path after RFC 9535 such as `$.components[*].status`.
    pub(super) path: String,
    /// The value is this text, number, true, false or null; a quoted number is a text.
    #[serde(default, deserialize_with = "given")]
    pub(super) equals: Option<Expected>,
    /// The value is anything but this.
    #[serde(default, deserialize_with = "given")]
    pub(super) not_equals: Option<Expected>,
    /// The value is a text in which this regular expression is found.
    pub(super) matches: Option<String>,
    /// The value is a number greater than this.
    pub(super) above: Option<f64>,
    /// The value is a number less than this.
    pub(super) below: Option<f64>,
    /// true: the path selects something, a null included; false: it selects nothing.
    pub(super) exists: Option<bool>,
}

/// Tells `equals: null` from no key at all.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Expected>, D::Error> {
    Expected::deserialize(deserializer).map(Some)
}

/// A scalar to compare with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected(Value);

impl Expected {
    fn equals(&self, found: &Value) -> bool {
        match (&self.0, found) {
            // 1 and 1.0 are one number in JSON.
            (Value::Number(expected), Value::Number(found)) => {
                if expected.is_f64() || found.is_f64() {
                    expected.as_f64() == found.as_f64()
                } else {
                    expected == found
                }
            }
            (expected, found) => expected == found,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::String(text) => write!(f, "`{}`", short(text)),
            value => write!(f, "{value}"),
        }
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;

        const EXPECTED: &str = "a text, a number, true, false or null";

        fn found<E: de::Error>(what: &str) -> E {
            E::custom(format_args!("expected {EXPECTED}, found {what}"))
        }

        impl<'de> Visitor<'de> for Scalar {
            type Value = Expected;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Expected, E> {
                Ok(Expected(Value::Null))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Expected, E> {
                Ok(Expected(value.into()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Expected, E> {
                Ok(Expected(number.into()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Expected, E> {
                let number = serde_json::Number::from_f64(number);
                number.map(|number| Expected(number.into())).ok_or_else(|| {
                    found("a number that JSON does not know; quote it if it is a text")
                })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Expected, E> {
                Ok(Expected(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Expected, A::Error> {
                Err(found("a list"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Expected, A::Error> {
                let _: Option<(IgnoredAny, IgnoredAny)> = map.next_entry()?;
                Err(found("a mapping"))
            }
        }

        deserializer.deserialize_any(Scalar)
    }
}

impl JsonSchema for Expected {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expected".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "null"] })
    }
}

/// A path with the comparisons that what it selects must pass.
#[derive(Debug)]
pub(super) struct JsonAssertion {
    path: JsonPath,
    text: String,
    comparisons: Vec<Comparison>,
}

#[derive(Debug)]
enum Comparison {
    Equals(Expected),
    NotEquals(Expected),
    Matches(Regex),
    Above(f64),
    Below(f64),
    Exists(bool),
}

impl JsonAssertion {
    /// Compiles an assertion, or says at which keys it is wrong.
    pub(super) fn new(params: &JsonParams) -> Result<Self, Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        let path = JsonPath::parse(&params.path)
            .map_err(|error| problems.push((".path", wrong_path(&params.path, error.position()))))
            .ok();
        let mut comparisons = Vec::new();
        comparisons.extend(params.equals.clone().map(Comparison::Equals));
        comparisons.extend(params.not_equals.clone().map(Comparison::NotEquals));
        if let Some(pattern) = &params.matches {
            match compile(pattern) {
                Ok(regex) => comparisons.push(Comparison::Matches(regex)),
                Err(message) => problems.push((".matches", message)),
            }
        }
        for (key, limit) in [(".above", params.above), (".below", params.below)] {
            if limit.is_some_and(|limit| !limit.is_finite()) {
                problems.push((key, "expected a finite number".to_owned()));
            }
        }
        comparisons.extend(params.above.map(Comparison::Above));
        comparisons.extend(params.below.map(Comparison::Below));
        if params.exists == Some(false) && !comparisons.is_empty() {
            let message = "expected no other comparison beside `exists: false`";
            problems.push((".exists", message.to_owned()));
        }
        comparisons.extend(params.exists.map(Comparison::Exists));
        if comparisons.is_empty() && problems.is_empty() {
            let message = "expected a comparison: one of `equals`, `not_equals`, `matches`, \
                           `above`, `below`, `exists`";
            problems.push(("", message.to_owned()));
        }
        match path {
            Some(path) if problems.is_empty() => {
                Ok(Self { path, text: params.path.clone(), comparisons })
            }
            _ => Err(problems),
        }
    }

    /// What is wrong with the document; `None` when nothing is.
    pub(super) fn failure(&self, document: &Value) -> Option<String> {
        let selected = self.path.query(document);
        let wrong = self.comparisons.iter().find_map(|comparison| match comparison {
            Comparison::Exists(false) => {
                (!selected.is_empty()).then(|| "selects something".to_owned())
            }
            _ if selected.is_empty() => Some("selects nothing".to_owned()),
            comparison => selected.iter().find_map(|value| comparison.failure(value)),
        })?;
        Some(format!("json `{}` {wrong}", short(&self.text)))
    }
}

fn wrong_path(path: &str, position: usize) -> String {
    match path.get(..position) {
        Some(good) if !good.is_empty() => {
            format!("expected a path after RFC 9535, found a mistake behind `{}`", short(good))
        }
        _ => "expected a path that begins with $, such as $.status".to_owned(),
    }
}

impl Comparison {
    fn failure(&self, value: &Value) -> Option<String> {
        match self {
            Self::Equals(expected) if !expected.equals(value) => Some(format!("is not {expected}")),
            Self::NotEquals(unwanted) if unwanted.equals(value) => Some(format!("is {unwanted}")),
            Self::Matches(regex) => match value.as_str() {
                None => Some("is not a text".to_owned()),
                Some(text) if !regex.is_match(text.as_bytes()) => {
                    Some(format!("does not match `{}`", short(regex.as_str())))
                }
                Some(_) => None,
            },
            Self::Above(limit) => beyond(value, *limit, "above", |number| number > *limit),
            Self::Below(limit) => beyond(value, *limit, "below", |number| number < *limit),
            _ => None,
        }
    }
}

fn beyond(value: &Value, limit: f64, side: &str, holds: impl Fn(f64) -> bool) -> Option<String> {
    match value.as_f64() {
        None => Some("is not a number".to_owned()),
        Some(number) if !holds(number) => Some(format!("is {number}, not {side} {limit}")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node;

    const DOCUMENT: &str = r#"{
        "status": "ok", "count": 3, "ratio": 1.0, "ready": true, "error": null, "big": 9007199254740993,
        "parts": [{"name": "db", "up": true}, {"name": "mq", "up": false}]
    }"#;

    /// What an assertion written in YAML says about the document; nothing when it holds.
    fn judged(yaml: &str) -> String {
        let node = node::parse(&format!("{{{yaml}}}"), "f.yml").unwrap();
        let params: JsonParams = node::decode(&node, "").unwrap();
        let document = serde_json::from_str(DOCUMENT).unwrap();
        JsonAssertion::new(&params).unwrap().failure(&document).unwrap_or_default()
    }

    #[test]
    fn comparisons_that_hold() {
        for yaml in [
            "path: $.status, equals: ok",
            "path: $.status, not_equals: OK",
            "path: $.status, matches: ^o",
            "path: $.count, equals: 3",
            "path: $.count, equals: 3.0",
            "path: $.ratio, equals: 1",
            "path: $.count, above: 2, below: 4",
            "path: $.ready, equals: true",
            "path: $.error, equals: null",
            "path: $.error, exists: true",
            "path: $.none, exists: false",
            "path: '$.parts[?@.up == false]', exists: true",
            "path: '$.parts[*].name', not_equals: cache",
        ] {
            assert_eq!(judged(yaml), "", "{yaml}");
        }
    }

    #[test]
    fn comparisons_that_fail_say_how() {
        for (yaml, message) in [
            ("path: $.status, equals: up", "json `$.status` is not `up`"),
            ("path: $.count, equals: '3'", "json `$.count` is not `3`"),
            ("path: $.ready, equals: 'true'", "json `$.ready` is not `true`"),
            ("path: $.error, not_equals: null", "json `$.error` is null"),
            ("path: $.status, not_equals: ok", "json `$.status` is `ok`"),
            ("path: $.status, matches: ^k", "json `$.status` does not match `^k`"),
            ("path: $.count, matches: 3", "json `$.count` is not a text"),
            ("path: $.count, above: 3", "json `$.count` is 3, not above 3"),
            ("path: $.count, below: 2.5", "json `$.count` is 3, not below 2.5"),
            ("path: $.status, above: 1", "json `$.status` is not a number"),
            ("path: $.none, equals: ok", "json `$.none` selects nothing"),
            ("path: $.none, not_equals: ok", "json `$.none` selects nothing"),
            ("path: $.none, exists: true", "json `$.none` selects nothing"),
            ("path: $.error, exists: false", "json `$.error` selects something"),
            ("path: '$.parts[*].up', equals: true", "json `$.parts[*].up` is not true"),
            ("path: $.big, equals: 9007199254740992", "json `$.big` is not 9007199254740992"),
        ] {
            assert_eq!(judged(yaml), message, "{yaml}");
        }
    }
}
