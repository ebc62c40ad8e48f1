//! The files that come with the program say what the program does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use health_exporter::{
    checks::KINDS,
    config,
    metrics::{FamilyDoc, catalogue},
    node::{self, Node, Value},
};
use serde_json::Value as Json;

/// Set to write the generated part of the README instead of comparing it.
const REWRITE: &str = "REWRITE_README";
const EXAMPLE: &str = "config.example.yml";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn check_config(path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_health-exporter"));
    command.arg("check-config").arg(path).output().unwrap()
}

fn assert_loads(path: &Path, what: &str) {
    let output = check_config(path);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} does not load:\n{said}");
}

#[test]
fn the_example_loads() {
    assert_loads(&root().join(EXAMPLE), EXAMPLE);
}

/// The example with the settings that are commented out put to use: indented lines `# key: …`.
fn everything_on(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let setting = line.trim_start().strip_prefix("# ").filter(|_| indent > 0);
        match setting.filter(|setting| is_setting(setting)) {
            Some(setting) => writeln!(out, "{:indent$}{setting}", "").unwrap(),
            None => writeln!(out, "{line}").unwrap(),
        }
    }
    out
}

fn is_setting(text: &str) -> bool {
    let text = text.trim_start();
    let text = text.strip_prefix("- ").unwrap_or(text);
    let text = text.strip_prefix('{').unwrap_or(text);
    let after = text.trim_start_matches(|c: char| c.is_ascii_lowercase() || "_-".contains(c));
    after.len() < text.len() && (after == ":" || after.starts_with(": "))
}

/// The paths of all keys, such as `checks[].http.url`.
fn keys_of(node: &Node, path: &str, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::Sequence(items) => {
            for item in items {
                keys_of(item, &format!("{path}[]"), found);
            }
        }
        Value::Mapping(entries) => {
            for entry in entries {
                let path = node::join(path, &entry.key);
                keys_of(&entry.value, &path, found);
                found.insert(path);
            }
        }
    }
}

/// The paths of all keys that a schema knows, and of those mappings whose keys are free.
#[derive(Default)]
struct Known {
    keys: BTreeSet<String>,
    free: BTreeSet<String>,
}

impl Known {
    fn collect(&mut self, schema: &Json, root: &Json, path: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = root.pointer(reference.trim_start_matches('#'));
            self.collect(target.expect("the schema is whole"), root, path);
        }
        for several in ["anyOf", "oneOf", "allOf"] {
            for one in schema[several].as_array().into_iter().flatten() {
                self.collect(one, root, path);
            }
        }
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            let path = node::join(path, key);
            self.collect(value, root, &path);
            self.keys.insert(path);
        }
        if schema["items"].is_object() {
            self.collect(&schema["items"], root, &format!("{path}[]"));
        }
        if schema["additionalProperties"].is_object() {
            self.free.insert(path.to_owned());
        }
    }
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let everything = everything_on(&read(EXAMPLE));
    let tree = node::parse(&everything, EXAMPLE).unwrap();
    let mut shown = BTreeSet::new();
    keys_of(&tree, "", &mut shown);
    let schema = config::schema(KINDS);
    let mut known = Known::default();
    known.collect(&schema, &schema, "");
    assert!(known.keys.len() > 150, "the schema was read: {:?}", known.keys);

    let missing: Vec<_> = known.keys.difference(&shown).collect();
    assert!(missing.is_empty(), "{EXAMPLE} lacks {missing:#?}");
    let is_free = |key: &str| key.rsplit_once('.').is_some_and(|(of, _)| known.free.contains(of));
    let unknown: Vec<_> = shown.difference(&known.keys).filter(|key| !is_free(key)).collect();
    assert!(unknown.is_empty(), "{EXAMPLE} has {unknown:#?}");
}

/// The blocks of a language in a Markdown text.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    text.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// Configurations in the README are those that begin with a comment that names a file.
#[test]
fn the_configurations_of_the_readme_load() {
    let readme = read("README.md");
    let blocks: Vec<_> =
        blocks(&readme, "yaml").into_iter().filter(|text| text.starts_with("# health")).collect();
    assert!(!blocks.is_empty(), "no block begins with `# health….yml`");
    let folder = tempfile::tempdir().unwrap();
    for (index, text) in blocks.into_iter().enumerate() {
        let path = folder.path().join(format!("block-{index}.yml"));
        fs::write(&path, text).unwrap();
        assert_loads(&path, text);
    }
}

fn row(family: &FamilyDoc) -> String {
    let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    // Said once, above the tables.
    let help = family.help.replace(", as of the last background run", "").replace('|', "\\|");
    format!("| `{}` | {} | {} | {help} |\n", family.name, family.metric_type, labels.join(" "))
}

/// Whom a family speaks of, in the order of the documents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    EveryCheck,
    Kind(&'static str),
    Exporter,
}

impl Part {
    fn of(family: &FamilyDoc) -> Self {
        match family.kind {
            Some(kind) => Self::Kind(kind),
            None if family.labels.iter().any(|label| label == "check") => Self::EveryCheck,
            None => Self::Exporter,
        }
    }

    fn title(self) -> String {
        match self {
            Self::EveryCheck => "Every check".to_owned(),
            Self::Kind(kind) => format!("Checks of the kind `{kind}`"),
            Self::Exporter => "Groups and the exporter itself".to_owned(),
        }
    }
}

/// The tables of metrics, from the code. Every check has the labels `check`, `kind` and `group`.
fn tables() -> BTreeMap<Part, String> {
    let mut tables = BTreeMap::new();
    for mut family in catalogue(KINDS) {
        let part = Part::of(&family);
        if part != Part::Exporter {
            family.labels.drain(..3);
        }
        let head = "| name | type | further labels | meaning |\n|---|---|---|---|\n";
        *tables.entry(part).or_insert_with(|| head.to_owned()) += &row(&family);
    }
    tables
}

fn assert_generated(name: &str, expected: &str) {
    const BEGIN: &str = "<!-- generated: REWRITE_README=1 cargo test shipped_files -->\n";
    const END: &str = "<!-- end -->";
    let text = read(name);
    let (before, rest) = text.split_once(BEGIN).expect("the generated part has a beginning");
    let (found, after) = rest.split_once(END).expect("the generated part has an end");
    if std::env::var_os(REWRITE).is_some() {
        fs::write(root().join(name), [before, BEGIN, expected, END, after].concat()).unwrap();
    } else {
        assert!(found == expected, "{name} is old: run this test with {REWRITE}=1");
    }
}

#[test]
fn the_tables_of_metrics_are_what_the_code_gives() {
    let tables = tables();
    assert_generated("README.md", &tables[&Part::EveryCheck]);
    let parts = tables.iter().map(|(part, table)| format!("## {}\n\n{table}\n", part.title()));
    assert_generated("docs/metrics.md", &parts.collect::<String>());
}

/// What the library's own documentation shows is compiled; the README shows the same.
#[test]
fn the_readme_embeds_as_the_documentation_of_the_library_does() {
    let library = read("src/lib.rs");
    let documented: String = library
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .fold(String::new(), |out, line| out + line.strip_prefix(' ').unwrap_or(line) + "\n");
    let compiled = blocks(&documented, "")[0].lines().filter(|line| !line.starts_with("# "));
    let shown = blocks(&read("README.md"), "rust")[0].to_owned();
    assert_eq!(shown.trim(), compiled.collect::<Vec<_>>().join("\n").trim());
}

#[test]
fn links_to_files_lead_somewhere() {
    for name in ["README.md", "CHANGELOG.md", "docs/metrics.md"] {
        let text = read(name);
        let folder = root().join(name).parent().unwrap().to_owned();
        let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
        let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
        for target in files {
            let file = target.split('#').next().unwrap();
            assert!(folder.join(file).exists(), "{name}: {target} does not exist");
        }
    }
}
