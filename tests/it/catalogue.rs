//! The metrics as a whole; `docs/metrics.md`, which a test holds, has them one by one.

use health_exporter::{checks::KINDS, metrics::catalogue};

use crate::app::TestApp;

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
