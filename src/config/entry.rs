//! One entry of `checks`: the common settings and the section of its kind.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::settings::{CheckSettings, Identity};
use crate::{
    check::{Built, Check, Kind, Params, Shared},
    job::Spec,
    name::Name,
    node::{self, Entry, Node, Place, Problem, Value, fields, unknown_key},
};

/// An entry of the list, with what `defaults` says.
pub(super) struct CheckEntry<'a> {
    pub node: &'a Node,
    /// Its place in the list, for an entry that has no name.
    pub index: usize,
    pub defaults: &'a CheckSettings,
}

/// A check and what is fixed about it.
type Described = (Spec, Box<dyn Check>);

impl CheckEntry<'_> {
    /// The check that the entry describes, `None` when it is not enabled. The name is added to
    /// `names`.
    pub(super) fn read(
        &self,
        kinds: &'static [Kind],
        shared: &Shared,
        names: &mut BTreeMap<Name, Place>,
    ) -> Result<Option<Described>, Vec<Problem>> {
        let Self { node, index, defaults } = *self;
        let Some(entries) = node.entries() else {
            let message = format!("expected a check with its settings, found {}", node.form());
            return Err(vec![Problem::at(&node.place, format!("checks[{index}]"), message)]);
        };
        let shown = node.get("name").map(Node::describe);
        let shown =
            shown.map_or(format!("checks[{index}]"), |name| name.trim_matches('`').to_owned());
        let mut problems = unknown_keys(entries, kinds);
        let has_typo = !problems.is_empty();
        let identity = part::<Identity>(node, &mut problems);
        let settings = part::<CheckSettings>(node, &mut problems);
        if let Some(settings) = &settings {
            let faults = settings.clone().over(defaults).policy(None).faults();
            // What `defaults` say is reported there.
            let own = faults.into_iter().filter(|(key, _)| node.get(key).is_some());
            problems.extend(
                own.map(|(key, message)| Problem::at(&node.nearest(key).place, key, message)),
            );
        }
        if let Some(Identity { name, .. }) = &identity {
            if let Some(first) = names.get(name) {
                let message = format!("there is another check `{name}` at {first}");
                problems.push(Problem::at(&node.nearest("name").place, "name", message));
            } else {
                names.insert(name.clone(), node.nearest("name").place.clone());
            }
        }
        let built = match kind_of(node, kinds) {
            // The key that is not known may be the kind.
            Err(_) if has_typo => None,
            Err(problem) => {
                problems.push(problem);
                None
            }
            Ok((kind, entry)) => build(kind, entry, shared)
                .map_err(|found| problems.extend(found))
                .map(|check| (kind, check))
                .ok(),
        };
        let (Some(identity), Some(settings), Some((kind, check)), true) =
            (identity, settings, built, problems.is_empty())
        else {
            return Err(problems.into_iter().map(|problem| problem.of_check(&shown)).collect());
        };
        if settings.quorum.is_some() && !kind.remote {
            let message = format!("expected none, since `{}` watches this machine only", kind.name);
            let problem = Problem::at(&node.nearest("quorum").place, "quorum", message);
            return Err(vec![problem.of_check(&shown)]);
        }
        let spec = settings.over(defaults).spec(identity.name, kind);
        Ok(identity.enabled.then_some((spec, check)))
    }
}

/// Decodes those keys of a check that belong to `T`.
fn part<T: DeserializeOwned>(node: &Node, problems: &mut Vec<Problem>) -> Option<T> {
    let known = fields::<T>();
    let own = node.entries().unwrap_or_default().iter();
    let own = own.filter(|entry| known.contains(&entry.key.as_str())).cloned().collect();
    let own = Node { place: node.place.clone(), value: Value::Mapping(own) };
    node::decode(&own, "").map_err(|found| problems.extend(found)).ok()
}

fn unknown_keys(entries: &[Entry], kinds: &[Kind]) -> Vec<Problem> {
    let kinds = kinds.iter().map(|kind| kind.name);
    let common = fields::<Identity>().iter().chain(fields::<CheckSettings>()).copied();
    let known: Vec<_> = common.chain(kinds).collect();
    entries
        .iter()
        .filter(|entry| !known.contains(&entry.key.as_str()))
        .map(|entry| Problem::at(&entry.place, &*entry.key, unknown_key(&entry.key, &known)))
        .collect()
}

/// The one key of a check that names a kind.
fn kind_of<'a>(
    node: &'a Node,
    kinds: &'static [Kind],
) -> Result<(&'static Kind, &'a Entry), Problem> {
    let entries = node.entries().unwrap_or_default().iter();
    let named: Vec<_> = entries
        .filter_map(|entry| Some((kinds.iter().find(|kind| kind.name == entry.key)?, entry)))
        .collect();
    match named.as_slice() {
        [one] => Ok(*one),
        [] => {
            let quoted: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.name)).collect();
            let message = format!("expected a kind: one of {}", quoted.join(", "));
            Err(Problem::at(&node.place, "", message))
        }
        [_, (_, second), ..] => {
            let message = "expected one kind per check, this is a second one";
            Err(Problem::at(&second.place, &*second.key, message))
        }
    }
}

fn build(kind: &Kind, entry: &Entry, shared: &Shared) -> Built {
    let empty = Node { place: entry.place.clone(), value: Value::Mapping(Vec::new()) };
    let params = if entry.value.is_null() { &empty } else { &entry.value };
    let Some(configuration) = kind.configuration else {
        let message = "expected a kind that can be configured";
        return Err(vec![Problem::at(&entry.place, &*entry.key, message)]);
    };
    (configuration.build)(Params::new(params, kind.name), shared)
}
