//! Holds the floors of ARCHITECTURE.md: a room imports only from floors below its own.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Every room with its floor; rooms of one floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["hash", "mountinfo", "name", "node", "reading", "secret", "units"],
    &["outcome"],
    &["lag", "wire"],
    &["check"],
    &["job"],
    &["checks", "config", "state"],
    &["metrics", "store"],
    &["engine", "web"],
    &["exporter"],
    &["app"],
    &["cli"],
    &["lib", "main"],
];

/// Crates that only certain rooms import, so that replacing one touches one room.
const OWNERS: &[(&str, &[&str])] = &[
    ("actix_web", &["web", "exporter", "app"]),
    ("clap", &["cli"]),
    ("deadpool_postgres", &["checks/postgres"]),
    ("deadpool_redis", &["checks/redis"]),
    ("lapin", &["checks/rabbitmq"]),
    ("prometheus", &["metrics", "engine", "web", "exporter"]),
    ("reqwest", &["wire"]),
    ("saphyr_parser", &["node"]),
    ("sysinfo", &["checks/system", "checks/disk"]),
    ("tokio_postgres", &["checks/postgres"]),
];

/// The longest file that still holds one idea, its tests left aside.
const MAX_LINES: usize = 400;
/// Lines of code, that is without comments, blank lines and tests.
const MAX_MEDIAN: usize = 120;

struct Source {
    /// Relative to `src`, without the ending.
    path: String,
    text: String,
}

impl Source {
    /// The first part of the path: a file or a folder of `src`.
    fn room(&self) -> &str {
        self.path.split('/').next().unwrap()
    }

    /// The text without the tests at its end.
    fn without_tests(&self) -> &str {
        let tests = self.text.find("#[cfg(test)]\nmod tests {");
        &self.text[..tests.unwrap_or(self.text.len())]
    }

    /// What the code says, comments and tests left aside.
    fn code(&self) -> String {
        let lines =
            self.without_tests().lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The rooms that are named after `crate::`, alone or in a list of imports.
    fn imports(&self) -> BTreeSet<String> {
        let code = self.code();
        let mut rooms = BTreeSet::new();
        for (at, _) in code.match_indices("crate::") {
            let rest = &code[at + "crate::".len()..];
            if let Some(list) = rest.strip_prefix('{') {
                rooms.extend(heads(list));
            } else {
                rooms.extend(word(rest));
            }
        }
        rooms
    }

    fn uses_crate(&self, name: &str) -> bool {
        self.code().match_indices(name).any(|(at, _)| {
            let code = self.code();
            let before = code[..at].chars().next_back();
            let starts = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            starts && code[at + name.len()..].starts_with("::")
        })
    }
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first word of each entry of a `{…}` list, nested lists left aside.
fn heads(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut at_head = true;
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            c if at_head && (c.is_alphanumeric() || c == '_') => {
                heads.extend(word(&list[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "tests.rs") {
                // What tests import says nothing about the house.
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let relative = path.strip_prefix(&root).unwrap().with_extension("");
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path: relative.to_string_lossy().into_owned(), text });
            }
        }
    }
    found
}

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("`{room}` has no floor; add it to FLOORS and ARCHITECTURE.md"))
}

#[test]
fn a_room_imports_only_from_floors_below() {
    let rooms: BTreeSet<_> = FLOORS.iter().flat_map(|rooms| rooms.iter().copied()).collect();
    for source in sources().iter().filter(|source| source.room() != "lib") {
        let room = source.room();
        for import in source.imports() {
            if import == room || !rooms.contains(import.as_str()) {
                continue;
            }
            assert!(floor(&import) < floor(room), "{} imports `{import}`", source.path);
        }
    }
}

#[test]
fn the_kinds_of_checks_do_not_know_each_other() {
    let sources = sources();
    let kinds: BTreeSet<_> = sources
        .iter()
        .filter_map(|source| source.path.strip_prefix("checks/"))
        .map(|path| path.split('/').next().unwrap())
        .filter(|kind| *kind != "mod")
        .collect();
    for source in &sources {
        let Some(own) = source.path.strip_prefix("checks/") else { continue };
        let own = own.split('/').next().unwrap();
        for kind in kinds.iter().filter(|kind| **kind != own && own != "mod") {
            let code = source.code();
            for path in [format!("checks::{kind}"), format!("super::super::{kind}::")] {
                assert!(!code.contains(&path), "{} knows `{kind}`", source.path);
            }
        }
    }
}

#[test]
fn every_kind_has_its_row_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let names = entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    let mut files: Vec<_> = names.filter(|name| name != "mod").collect();
    files.sort();
    let table: Vec<_> = health_exporter::checks::KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(table, files);
}

#[test]
fn a_driver_is_imported_by_its_own_room_only() {
    for source in sources() {
        for (driver, rooms) in OWNERS {
            let owned = rooms
                .iter()
                .any(|room| source.path == *room || source.path.starts_with(&format!("{room}/")));
            assert!(owned || !source.uses_crate(driver), "{} uses `{driver}`", source.path);
        }
    }
}

#[test]
fn nothing_is_printed_or_logged_by_a_probe_and_nothing_global_changes() {
    for source in sources() {
        let code = source.code();
        assert!(!code.contains("static mut ") && !code.contains("lazy_static"), "{}", source.path);
        if source.room() == "checks" || source.room() == "wire" {
            assert!(!code.contains("tracing::"), "{}: the engine logs", source.path);
        }
    }
}

#[test]
fn a_file_holds_one_idea() {
    let sources = sources();
    for source in &sources {
        let lines = source.without_tests().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", source.path);
    }
    let code =
        |source: &Source| source.code().lines().filter(|line| !line.trim().is_empty()).count();
    let mut lengths: Vec<_> = sources.iter().map(code).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= MAX_MEDIAN, "the median file has {median} lines of code");
}
