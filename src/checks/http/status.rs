//! Which statuses are expected.

use std::{fmt, ops::RangeInclusive};

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

/// A set of statuses, written `204`, `200-299` or as a list of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatusSet(Vec<RangeInclusive<u16>>);

impl StatusSet {
    /// Whether the status is expected.
    pub(super) fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|range| range.contains(&status.as_u16()))
    }
}

impl Default for StatusSet {
    fn default() -> Self {
        Self(vec![200..=299])
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", range.start())?;
            if range.start() != range.end() {
                write!(f, "-{}", range.end())?;
            }
        }
        Ok(())
    }
}

fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| text.trim().parse().ok().filter(|code| (100..=599).contains(code));
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => {
            Err(format!("expected a status such as 204 or a range such as 200-299, found `{text}`"))
        }
    }
}

struct Entry(RangeInclusive<u16>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        range(&text).map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = StatusSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status, a range of them, or a list of these")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<StatusSet, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusSet, E> {
                range(text).map(|range| StatusSet(vec![range])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<StatusSet, A::Error> {
                let mut ranges = Vec::new();
                while let Some(Entry(range)) = list.next_element()? {
                    ranges.push(range);
                }
                if ranges.is_empty() {
                    return Err(de::Error::custom("expected at least one status"));
                }
                Ok(StatusSet(ranges))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

impl JsonSchema for StatusSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusSet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let entry = json_schema!({
            "type": ["integer", "string"],
            "minimum": 100, "maximum": 599, "pattern": "^[1-5]\\d\\d(\\s*-\\s*[1-5]\\d\\d)?$",
        });
        json_schema!({
            "description": "A status such as 204, a range such as 200-299, or a list of these",
            "anyOf": [entry, { "type": "array", "items": entry, "minItems": 1 }],
        })
    }
}
