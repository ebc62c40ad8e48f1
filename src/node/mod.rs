//! A YAML document as a tree that knows the line and column of every key and value.
//!
//! The tree keeps scalars as raw text: what a text means is decided by the type that it is
//! decoded into, so `version: 1.10` stays `1.10` and a quoted number still is a number.

mod access;
mod decode;
mod keys;
mod parse;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

pub use decode::decode;
pub use keys::{fields, unknown_key};
pub use parse::parse;

/// Where a node begins: file, line and column, both counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named to us.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value of the document and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node can be.
#[derive(Debug, Clone)]
pub enum Value {
    /// A text; `plain` when it was written without quotes.
    Scalar {
        /// The text, escapes resolved.
        text: String,
        /// Written without quotes, so that `null`, `~` and nothing mean "no value".
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with their values, in the order of the file.
    Mapping(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Whether this is an explicit or implied `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The entries, when this is a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The node at a path such as `tls.ca_file` or `queues[1].name`, or the nearest one above it.
    pub fn nearest(&self, path: &str) -> &Node {
        let mut node = self;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match (&node.value, step.strip_suffix(']')) {
                (Value::Sequence(items), Some(index)) => {
                    index.parse().ok().and_then(|index: usize| items.get(index))
                }
                _ => node.get(step),
            };
            let Some(next) = next else { break };
            node = next;
        }
        node
    }

    /// What the node is, without its text.
    pub fn form(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { .. } => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// What the node is, in the words of an error message.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Scalar { text, .. } if text.chars().count() > 40 => "a long text".to_owned(),
            Value::Scalar { text, .. } if !self.is_null() => format!("`{text}`"),
            _ => self.form().to_owned(),
        }
    }
}

/// Something wrong with the configuration: where, in which check, at which key, and what was
/// expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands; `None` for what no file says.
    pub place: Option<Place>,
    /// The check that it concerns.
    pub check: Option<String>,
    /// The path of the key, such as `http.status[0]`; empty for the whole.
    pub key: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Problem {
    /// A problem at a place, not yet said to belong to a check.
    pub fn at(place: &Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: Some(place.clone()), check: None, key: key.into(), message: message.into() }
    }

    /// The same problem as one of a check.
    #[must_use]
    pub fn of_check(mut self, check: &str) -> Self {
        self.check = Some(check.to_owned());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(check) = &self.check {
            write!(f, "check `{check}`: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A path one step further down, or the same when there is no key.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() || key.is_empty() { format!("{path}{key}") } else { format!("{path}.{key}") }
}
