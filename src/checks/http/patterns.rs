//! Regular expressions of the configuration.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

/// A compiled expression larger than this is refused.
const MAX_SIZE: usize = 1 << 20;

/// One regular expression or a list of them, not compiled yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Patterns(pub(super) Vec<String>);

/// Compiles an expression; it searches bytes, since not every body is a text.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_SIZE).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "expected a smaller regular expression: compiled it takes more than 1MiB".to_owned()
        }
        error => {
            // The library draws a picture of several lines; the last one says what is wrong.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let last = last.strip_prefix("error: ").unwrap_or(last);
            format!("expected a regular expression, found a mistake: {last}")
        }
    })
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Patterns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a regular expression or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Patterns, E> {
                Ok(Patterns(vec![text.to_owned()]))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Patterns, E> {
                Err(E::custom(QUOTE))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Patterns, E> {
                Err(E::custom(QUOTE))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Patterns, E> {
                Err(E::custom(QUOTE))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Patterns, A::Error> {
                let mut patterns = Vec::new();
                while let Some(pattern) = list.next_element()? {
                    patterns.push(pattern);
                }
                Ok(Patterns(patterns))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

/// What YAML takes for a number or a truth value would not be the text that was written.
const QUOTE: &str = "expected a regular expression in quotes";

impl JsonSchema for Patterns {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Patterns".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A regular expression or a list of them",
            "anyOf": [
                { "type": "string", "format": "regex" },
                { "type": "array", "items": { "type": "string", "format": "regex" } },
            ],
        })
    }
}

/// A text of the configuration, cut to a length that leaves room for the rest of a message.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 60;
    if text.chars().count() <= MAX {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MAX).collect();
    format!("{cut}…")
}
