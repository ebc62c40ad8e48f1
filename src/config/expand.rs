//! `${NAME}` and `${NAME:-default}` in the values of a configuration.

use crate::node::{Node, Problem, Value};

/// Expands every value below `node`; `lookup` gives the environment.
///
/// `$$` is a dollar, any other `$` stays as it is.
pub(super) fn expand(
    node: &mut Node,
    lookup: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) {
    match &mut node.value {
        Value::Scalar { text, .. } if text.contains('$') => match expand_text(text, lookup) {
            Ok(expanded) => *text = expanded,
            Err(message) => problems.push(Problem::at(&node.place, "", message)),
        },
        Value::Scalar { .. } => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| expand(item, lookup, problems)),
        Value::Mapping(entries) => {
            for entry in entries {
                expand(&mut entry.value, lookup, problems);
            }
        }
    }
}

fn expand_text(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end =
                after.find('}').ok_or("expected a `}` that ends `${`; write `$$` for a dollar")?;
            expanded.push_str(&value(&after[..end], lookup)?);
            rest = &after[end + 1..];
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn value(inside: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("expected `${{NAME}}` or `${{NAME:-default}}`, found `${{{inside}}}`"));
    }
    // As in a shell, `:-` stands in for an empty value too.
    let set = lookup(name).filter(|value| default.is_none() || !value.is_empty());
    set.or_else(|| default.map(str::to_owned))
        .ok_or_else(|| format!("the environment variable `{name}` is not set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand_text(text, &|name| match name {
            "HOST" => Some("db.internal".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn names_are_replaced_and_other_dollars_stay() {
        for (text, expected) in [
            ("postgres://${HOST}/orders", "postgres://db.internal/orders"),
            ("${PORT:-5432}", "5432"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("^ok$", "^ok$"),
            ("$HOST $1", "$HOST $1"),
            ("$${HOST}", "${HOST}"),
        ] {
            assert_eq!(expanded(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_an_error() {
        for (text, expected) in [
            ("${PORT}", "the environment variable `PORT` is not set"),
            ("${a b}", "expected `${NAME}` or `${NAME:-default}`, found `${a b}`"),
            ("${HOST", "expected a `}` that ends `${`; write `$$` for a dollar"),
        ] {
            assert_eq!(expanded(text), Err(expected.to_owned()), "{text}");
        }
    }
}
