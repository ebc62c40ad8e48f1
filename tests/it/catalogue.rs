use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

use health_exporter::{
    checks::KINDS,
    metrics::{FamilyDoc, catalogue},
};

use crate::app::TestApp;

/// Set to write what the code gives instead of comparing it, for review with `git diff`.
const REWRITE: &str = "REWRITE_METRICS";

/// Names, types, labels and help texts are an interface: dashboards and alerts are built on them.
#[test]
fn every_metric_is_as_it_was_promised() {
    let mut text = String::new();
    for FamilyDoc { name, metric_type, labels, help, .. } in catalogue(KINDS) {
        writeln!(text, "{name} {metric_type} [{}] {help}", labels.join(" ")).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/metrics.txt");
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, &text).unwrap();
    }
    let promised = fs::read_to_string(&path).unwrap_or_default();
    let (promised, given): (BTreeSet<_>, BTreeSet<_>) =
        (promised.lines().collect(), text.lines().collect());
    let gone: Vec<_> = promised.difference(&given).collect();
    let new: Vec<_> = given.difference(&promised).collect();
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}");
}

#[test]
fn no_two_families_share_a_name_with_another_meaning() {
    let mut families: Vec<_> = catalogue(KINDS)
        .into_iter()
        .map(|family| (family.name, family.metric_type, family.labels, family.help))
        .collect();
    families.sort();
    families.dedup();
    for pair in families.windows(2) {
        assert_ne!(pair[0].0, pair[1].0);
    }
}

#[test]
fn everything_that_is_exposed_stands_in_the_catalogue() {
    let app = TestApp::start_in(tempfile::tempdir().unwrap(), &[]);
    app.wait_for_first_round();
    app.get("/metrics");
    let body = app.get("/metrics").body;
    let catalogue = catalogue(KINDS);
    let mut found = 0;
    for line in body.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let family = catalogue.iter().find(|family| family.name == name);
        let family = family.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        assert_eq!(family.help, help, "{name}");
        let metric_type = format!("# TYPE {name} {}\n", family.metric_type);
        assert!(body.contains(&metric_type), "{metric_type}");
        found += 1;
    }
    assert!(found > 60, "{found} families");
}
