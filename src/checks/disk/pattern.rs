//! Mount points as they are written in a configuration.

use std::{borrow::Cow, path::Path, str::FromStr};

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A mount point, or with `*` any that fits.
#[derive(Debug)]
pub(super) enum Pattern {
    /// This one.
    Exact(String),
    /// Any that the expression matches.
    Wildcard(Regex),
}

impl Pattern {
    pub(super) fn matches(&self, mount_point: &str) -> bool {
        match self {
            Self::Exact(name) => name == mount_point,
            Self::Wildcard(expression) => expression.is_match(mount_point),
        }
    }

    /// The one mount point that is meant.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Exact(name) => Some(name),
            Self::Wildcard(_) => None,
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.starts_with(['/', '*']) && !Path::new(text).is_absolute() {
            return Err(format!(
                "expected an absolute mount point such as /data or a pattern such as /data/*, \
                 found `{text}`"
            ));
        }
        if text.contains('*') {
            let expression = format!("^(?s:{})$", regex::escape(text).replace(r"\*", ".*"));
            return match Regex::new(&expression) {
                Ok(expression) => Ok(Self::Wildcard(expression)),
                Err(_) => Err("expected a shorter pattern".to_owned()),
            };
        }
        let name = match text.trim_end_matches('/') {
            "" => text,
            trimmed => trimmed,
        };
        Ok(Self::Exact(name.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "MountPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A mount point such as /data, or a pattern such as /data/*"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let matches =
            |pattern: &str, mount_point| pattern.parse::<Pattern>().unwrap().matches(mount_point);
        assert!(matches("*.backup", "/mnt/x.backup"));
        assert!(matches("/data/*", "/data/a/b"));
        assert!(!matches("/data/*", "/data"));
        assert!(!matches("/data.*", "/data/a"));
        assert!(matches("*", "/"));
    }

    #[test]
    fn a_name_is_exact_but_for_a_slash_at_its_end() {
        let name = |text: &str| text.parse::<Pattern>().unwrap().name().map(str::to_owned);
        assert_eq!(name("/data/"), Some("/data".to_owned()));
        assert_eq!(name("/"), Some("/".to_owned()));
        assert_eq!(name("/data*"), None);
    }

    #[test]
    fn a_mount_point_is_absolute() {
        assert_eq!(
            "data".parse::<Pattern>().unwrap_err(),
            "expected an absolute mount point such as /data or a pattern such as /data/*, \
             found `data`"
        );
    }
}
