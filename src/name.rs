//! The one form of every name a user gives: checks, groups and tags.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, de};

/// A name that is safe as a label value and as a path segment.
///
/// It is 1 to 63 characters long, starts with a lower-case letter or a digit, and goes on with
/// lower-case letters, digits, `_`, `.` and `-`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A text that is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a valid name: expected 1 to 63 of a-z, 0-9, `_`, `.`, `-`, \
     beginning with a letter or a digit"
)]
pub struct InvalidName(String);

impl Name {
    const MAX_LENGTH: usize = 63;

    /// Checks `text` against the rule of [`Name`].
    ///
    /// # Errors
    /// [`InvalidName`] with the text that was refused.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let valid =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-');
        if starts_well && text.len() <= Self::MAX_LENGTH && text.chars().all(valid) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName(text.chars().take(80).collect()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    /// `default`, the group of a check that names none.
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,62}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_of_the_documented_form_is_a_name(text in "[a-z0-9][a-z0-9_.-]{0,62}") {
            let name = Name::new(&text).unwrap();
            prop_assert_eq!(name.as_str(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "-a", ".a", "Orders", "a b", "ä", "a/b", &"a".repeat(64)] {
            assert!(Name::new(text).is_err(), "{text}");
        }
    }
}
