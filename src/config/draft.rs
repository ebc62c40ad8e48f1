//! From files to a validated configuration, with every problem on the way.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::{
    entry::CheckEntry,
    expand::expand,
    sections::{Config, Readiness, ReadinessPolicy, TopLevel},
    settings::CheckSettings,
};
use crate::{
    check::{Kind, Shared},
    hash::hash,
    job::Job,
    name::Name,
    node::{self, Entry, Node, Place, Problem, Value, fields, unknown_key},
    reading::ReadingDef,
};

/// A configuration that has been read, with the problems found so far.
///
/// The sections can be used at once, to make what the checks need; where a section is faulty its
/// defaults stand in.
pub struct Draft {
    /// The sections beside the checks.
    pub config: Config,
    defaults: CheckSettings,
    sections: BTreeMap<String, Entry>,
    checks: Vec<Node>,
    problems: Vec<Problem>,
    /// Values whose variables are not set.
    unexpanded: Vec<Problem>,
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
        let (mut problems, mut unexpanded) = (Vec::new(), Vec::new());
        let mut sections: BTreeMap<String, Entry> = BTreeMap::new();
        let mut checks = Vec::new();
        for (file, text) in texts {
            let mut root = node::parse(text, file)?;
            expand(&mut root, lookup, &mut unexpanded);
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
            sections,
            checks,
            problems,
            unexpanded,
        };
        draft.config.hash = format!("{:016x}", hash(texts_as_bytes(texts).as_slice()));
        draft.decode_sections();
        draft.judge_sections();
        Ok(draft)
    }

    fn decode_sections(&mut self) {
        let (sections, problems) = (&self.sections, &mut self.problems);
        self.config.service = section(sections, "service", problems);
        self.config.server = section(sections, "server", problems);
        self.config.engine = section(sections, "engine", problems);
        self.config.readiness = section(sections, "readiness", problems);
        self.config.metrics = section(sections, "metrics", problems);
        self.defaults = section(sections, "defaults", problems);
    }

    fn judge_sections(&mut self) {
        let buckets = &self.config.metrics.buckets;
        let rising = buckets.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || buckets.iter().any(|bound| !bound.is_finite() || *bound <= 0.0) {
            self.fault("metrics", "buckets", "expected positive numbers that rise");
        }
        let listen = &self.config.server.listen;
        let port = listen.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            let expected = "expected an address such as 127.0.0.1:10115 or [::]:10115";
            self.fault("server", "listen", format!("{expected}, found `{listen}`"));
        }
        if self.config.engine.worker_threads == Some(0) {
            self.fault("engine", "worker_threads", "expected 1 or more, found 0");
        }
        for (key, message) in self.defaults.policy(None).faults() {
            self.fault("defaults", key, message);
        }
        let Readiness { policy, checks } = &self.config.readiness;
        match (policy, checks.is_empty()) {
            (ReadinessPolicy::List, true) => {
                let message = "expected the names of checks, since the policy is `list`";
                self.fault("readiness", "checks", message);
            }
            (ReadinessPolicy::Started | ReadinessPolicy::Critical, false) => {
                let message = "expected no names unless the policy is `list`";
                self.fault("readiness", "checks", message);
            }
            _ => {}
        }
    }

    /// Adds a problem with a value of a section.
    fn fault(&mut self, section: &str, key: &str, message: impl Into<String>) {
        let section_node = self.sections.get(section).map(|entry| &entry.value);
        let place = section_node.map(|node| node.nearest(key).place.clone());
        let key = format!("{section}.{key}");
        self.problems.push(Problem { place, check: None, key, message: message.into() });
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
            let entry = CheckEntry { node, index, defaults: &self.defaults };
            match entry.read(kinds, shared, &mut names) {
                Ok(Some((mut spec, check))) => {
                    spec.duration_bounds = self.config.metrics.buckets.as_slice().into();
                    jobs.push(Job::new(spec, check));
                }
                Ok(None) => {}
                Err(problems) => self.problems.extend(problems),
            }
        }
        for (index, name) in self.config.readiness.checks.clone().iter().enumerate() {
            if !names.contains_key(name) {
                let message = format!("there is no check `{name}`");
                self.fault("readiness", &format!("checks[{index}]"), message);
            }
        }
        self.find_conflicts(&jobs, &names);
        if self.problems.is_empty() && self.unexpanded.is_empty() {
            return Ok(Loaded { config: self.config, jobs });
        }
        // What follows from a variable that is not set would only distract from it.
        let unexpanded = std::mem::take(&mut self.unexpanded);
        self.problems.retain(|problem| unexpanded.iter().all(|first| first.place != problem.place));
        self.problems.extend(unexpanded);
        let position = |problem: &Problem| {
            problem.place.as_ref().map(|place| (place.file.clone(), place.line, place.column))
        };
        self.problems.sort_by_key(position);
        Err(self.problems)
    }

    /// Families that two checks define differently would make the exposition invalid.
    fn find_conflicts(&mut self, jobs: &[Job], names: &BTreeMap<Name, Place>) {
        let mut defined: BTreeMap<&str, (&Name, &ReadingDef)> = BTreeMap::new();
        for job in jobs {
            for def in &job.spec.readings {
                let (other, known) = *defined.entry(def.name()).or_insert((&job.spec.name, def));
                if known != def {
                    let message = format!(
                        "expected the type, help text and labels that `{}` has in the check `{other}`",
                        def.name()
                    );
                    let place = names.get(&job.spec.name).cloned();
                    let problem = Problem { place, check: None, key: String::new(), message };
                    self.problems.push(problem.of_check(job.spec.name.as_str()));
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
        let shown = entry.value.form();
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
