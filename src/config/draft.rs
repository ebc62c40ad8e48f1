//! From files to a validated configuration, with every problem on the way.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::de::DeserializeOwned;

use super::{
    expand::expand,
    sections::{Config, Readiness, ReadinessPolicy, TopLevel},
    settings::{CheckSettings, Identity},
};
use crate::{
    check::{Kind, Params, Shared},
    hash::hash,
    job::{Job, Spec},
    name::Name,
    node::{self, Entry, Node, Place, Problem, Value, fields, unknown_key},
};

/// A configuration that has been read, with the problems found so far.
///
/// The sections can be used at once, to make what the checks need; where a section is faulty its
/// defaults stand in.
pub struct Draft {
    /// The sections beside the checks.
    pub config: Config,
    defaults: CheckSettings,
    checks: Vec<Node>,
    problems: Vec<Problem>,
}

/// A configuration without problems.
pub struct Loaded {
    /// The sections beside the checks.
    pub config: Config,
    /// The checks, in the order of the files.
    pub jobs: Vec<Job>,
}

impl Draft {
    /// Reads a file or every `.yml` and `.yaml` file of a folder.
    ///
    /// # Errors
    /// Nothing could be read, or what was read is not YAML.
    pub fn read(
        path: &Path,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Problem>> {
        let mut texts = Vec::new();
        for file in files(path)? {
            let text =
                fs::read_to_string(&file).map_err(|error| vec![unreadable(&file, &error)])?;
            texts.push((file.display().to_string(), text));
        }
        Self::parse(&texts, lookup)
    }

    /// Reads texts, each with the name of its file.
    ///
    /// # Errors
    /// A text is not YAML.
    pub fn parse(
        texts: &[(String, String)],
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut sections: BTreeMap<String, Entry> = BTreeMap::new();
        let mut checks = Vec::new();
        for (file, text) in texts {
            let mut root = node::parse(text, file)?;
            expand(&mut root, lookup, &mut problems);
            let place = root.place.clone();
            let Value::Mapping(entries) = root.value else {
                problems.push(Problem::at(&place, "", "expected sections such as `checks`"));
                continue;
            };
            for entry in entries {
                collect(entry, &mut sections, &mut checks, &mut problems);
            }
        }
        let mut draft = Self {
            config: Config::default(),
            defaults: CheckSettings::default(),
            checks,
            problems,
        };
        draft.config.hash = format!("{:016x}", hash(texts_as_bytes(texts).as_slice()));
        draft.decode_sections(&sections);
        Ok(draft)
    }

    fn decode_sections(&mut self, sections: &BTreeMap<String, Entry>) {
        let problems = &mut self.problems;
        self.config.service = section(sections, "service", problems);
        self.config.server = section(sections, "server", problems);
        self.config.engine = section(sections, "engine", problems);
        self.config.readiness = section(sections, "readiness", problems);
        self.config.metrics = section(sections, "metrics", problems);
        self.defaults = section(sections, "defaults", problems);
        let mut fault = |section: &str, key: &str, message: String| {
            let place = sections.get(section).map(|entry| entry.value.nearest(key).place.clone());
            problems.push(Problem { place, check: None, key: format!("{section}.{key}"), message });
        };
        let buckets = &self.config.metrics.buckets;
        let rising = buckets.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || buckets.iter().any(|bound| !bound.is_finite() || *bound <= 0.0) {
            fault("metrics", "buckets", "expected positive numbers that rise".to_owned());
        }
        if self.config.engine.worker_threads == Some(0) {
            fault("engine", "worker_threads", "expected 1 or more, found 0".to_owned());
        }
        for (key, message) in self.defaults.policy(None).faults() {
            fault("defaults", key, message);
        }
        let Readiness { policy, checks } = &self.config.readiness;
        if (*policy == ReadinessPolicy::List) == checks.is_empty() {
            let message = match policy {
                ReadinessPolicy::List => "expected the names of checks, since the policy is `list`",
                _ => "expected no names unless the policy is `list`",
            };
            fault("readiness", "checks", message.to_owned());
        }
    }

    /// Builds the checks.
    ///
    /// # Errors
    /// Every problem of the configuration, in the order of files and lines.
    pub fn finish(
        mut self,
        kinds: &'static [Kind],
        shared: &Shared,
    ) -> Result<Loaded, Vec<Problem>> {
        let mut names: BTreeMap<Name, Place> = BTreeMap::new();
        let mut jobs = Vec::new();
        for (index, node) in std::mem::take(&mut self.checks).iter().enumerate() {
            match self.check(node, index, kinds, shared, &mut names) {
                Ok(job) => jobs.extend(job),
                Err(problems) => self.problems.extend(problems),
            }
        }
        for name in &self.config.readiness.checks {
            if !names.contains_key(name.as_str()) {
                let message = format!("there is no check `{name}`");
                self.problems.push(Problem {
                    place: None,
                    check: None,
                    key: "readiness.checks".to_owned(),
                    message,
                });
            }
        }
        self.find_conflicts(&jobs);
        if self.problems.is_empty() {
            return Ok(Loaded { config: self.config, jobs });
        }
        let position = |problem: &Problem| {
            problem.place.as_ref().map(|place| (place.file.clone(), place.line, place.column))
        };
        self.problems.sort_by_key(position);
        Err(self.problems)
    }

    fn check(
        &self,
        node: &Node,
        index: usize,
        kinds: &'static [Kind],
        shared: &Shared,
        names: &mut BTreeMap<Name, Place>,
    ) -> Result<Option<Job>, Vec<Problem>> {
        let Some(entries) = node.entries() else {
            let message = format!("expected a check with its settings, found {}", node.describe());
            return Err(vec![Problem::at(&node.place, format!("checks[{index}]"), message)]);
        };
        let shown = node.get("name").map(Node::describe);
        let shown =
            shown.map_or(format!("checks[{index}]"), |name| name.trim_matches('`').to_owned());
        let mut problems = unknown_keys(entries, kinds);
        let identity = part::<Identity>(node, &mut problems);
        let settings = part::<CheckSettings>(node, &mut problems);
        if let Some(settings) = &settings {
            let faults = settings.clone().over(&self.defaults).policy(None).faults();
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
        let built = build(node, kinds, shared).map_err(|found| problems.extend(found)).ok();
        let (Some(identity), Some(settings), Some((kind, check)), true) =
            (identity, settings, built, problems.is_empty())
        else {
            return Err(problems.into_iter().map(|problem| problem.of_check(&shown)).collect());
        };
        let mut spec: Spec = settings.over(&self.defaults).spec(identity.name, kind);
        spec.duration_bounds = Arc::from(self.config.metrics.buckets.as_slice());
        Ok(identity.enabled.then(|| Job::new(spec, check)))
    }

    /// Families that two checks define differently would make the exposition invalid.
    fn find_conflicts(&mut self, jobs: &[Job]) {
        let mut defined: BTreeMap<&str, (&Name, &crate::reading::ReadingDef)> = BTreeMap::new();
        for job in jobs {
            for def in &job.spec.readings {
                match defined.get(def.name()) {
                    Some((other, known)) if *known != def => {
                        let message = format!(
                            "`{}` has another type, help text or set of labels in the check `{other}`",
                            def.name()
                        );
                        let problem =
                            Problem { place: None, check: None, key: String::new(), message };
                        self.problems.push(problem.of_check(job.spec.name.as_str()));
                    }
                    Some(_) => {}
                    None => {
                        defined.insert(def.name(), (&job.spec.name, def));
                    }
                }
            }
        }
    }
}

fn texts_as_bytes(texts: &[(String, String)]) -> Vec<u8> {
    // A zero byte stands in no YAML, so two splits of the same text differ.
    texts.iter().flat_map(|(_, text)| text.bytes().chain([0])).collect()
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    let message = format!("{}: cannot be read: {error}", path.display());
    Problem { place: None, check: None, key: String::new(), message }
}

/// The file itself, or the YAML files of a folder in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, Vec<Problem>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| vec![unreadable(path, &error)])?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|ending| ending == "yml" || ending == "yaml"))
        .filter(|file| file.is_file() && !is_hidden(file))
        .collect();
    files.sort();
    if files.is_empty() {
        let message = format!("{}: expected files that end in .yml or .yaml", path.display());
        return Err(vec![Problem { place: None, check: None, key: String::new(), message }]);
    }
    Ok(files)
}

fn is_hidden(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Sorts an entry of the top level to its section.
fn collect(
    entry: Entry,
    sections: &mut BTreeMap<String, Entry>,
    checks: &mut Vec<Node>,
    problems: &mut Vec<Problem>,
) {
    let known = fields::<TopLevel>();
    if entry.key == "checks" {
        let place = entry.value.place.clone();
        let shown = entry.value.describe();
        match entry.value.value {
            Value::Sequence(items) => checks.extend(items),
            _ if entry.value.is_null() => {}
            _ => {
                let message = format!("expected a list of checks, found {shown}");
                problems.push(Problem::at(&place, "checks", message));
            }
        }
    } else if known.contains(&entry.key.as_str()) {
        if let Some(first) = sections.get(&entry.key) {
            let message =
                format!("stands at {} too; only `checks` may stand in several files", first.place);
            problems.push(Problem::at(&entry.place, entry.key, message));
        } else {
            sections.insert(entry.key.clone(), entry);
        }
    } else if !entry.key.starts_with("x-") {
        problems.push(Problem::at(&entry.place, &*entry.key, unknown_key(&entry.key, known)));
    }
}

fn section<T: DeserializeOwned + Default>(
    sections: &BTreeMap<String, Entry>,
    name: &str,
    problems: &mut Vec<Problem>,
) -> T {
    let Some(entry) = sections.get(name).filter(|entry| !entry.value.is_null()) else {
        return T::default();
    };
    node::decode(&entry.value, name).unwrap_or_else(|found| {
        problems.extend(found);
        T::default()
    })
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

type BuiltKind = (&'static Kind, Box<dyn crate::check::Check>);

fn build(node: &Node, kinds: &'static [Kind], shared: &Shared) -> Result<BuiltKind, Vec<Problem>> {
    let entries = node.entries().unwrap_or_default();
    let named: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((kinds.iter().find(|kind| kind.name == entry.key)?, entry)))
        .collect();
    let (kind, entry) = match named.as_slice() {
        [one] => *one,
        [] => {
            let quoted: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.name)).collect();
            let message = format!("expected a kind: one of {}", quoted.join(", "));
            return Err(vec![Problem::at(&node.place, "", message)]);
        }
        [_, (_, second), ..] => {
            let message = "expected one kind per check, this is a second one";
            return Err(vec![Problem::at(&second.place, &*second.key, message)]);
        }
    };
    let empty = Node { place: entry.place.clone(), value: Value::Mapping(Vec::new()) };
    let params = if entry.value.is_null() { &empty } else { &entry.value };
    let Some(configuration) = kind.configuration else {
        let message = "expected a kind that can be configured";
        return Err(vec![Problem::at(&entry.place, &*entry.key, message)]);
    };
    Ok((kind, (configuration.build)(Params::new(params, kind.name), shared)?))
}
