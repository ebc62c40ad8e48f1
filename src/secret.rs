//! Text that must never be shown: passwords, tokens, credentials in headers.

use std::{fmt, fs, io, path::PathBuf};

use serde::{Deserialize, Deserializer};

/// A secret text. `Debug` shows `***`; there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text so that it can no longer be printed by accident.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for handing it to a client library.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "writeOnly": true })
    }
}

/// Where a secret comes from: the configuration itself or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// Read anew at every use, so that a rotated file is seen.
    File(PathBuf),
}

impl SecretSource {
    /// The source that a pair of keys `x` and `x_file` describes; the file wins.
    pub fn from_keys(inline: Option<Secret>, file: Option<PathBuf>) -> Option<Self> {
        file.map(Self::File).or(inline.map(Self::Inline))
    }

    /// The secret as it stands now; one trailing line break of a file does not belong to it.
    ///
    /// # Errors
    /// What reading the file gave.
    pub fn read(&self) -> io::Result<Secret> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let text = fs::read_to_string(path)?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(***)");
    }

    #[test]
    fn a_secret_file_is_read_anew_and_loses_one_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let source = SecretSource::from_keys(None, Some(path.clone())).unwrap();
        fs::write(&path, "first\n").unwrap();
        assert_eq!(source.read().unwrap().expose(), "first");
        fs::write(&path, "second").unwrap();
        assert_eq!(source.read().unwrap().expose(), "second");
    }
}
