use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use flate2::read::MultiGzDecoder;

use crate::app::{Response, TestApp};

const CHECKS: &str = "
defaults: {interval: 200ms, failure_threshold: 1}
checks:
  - {name: fine, tags: [own, web], owner: 'team \"a\\b\"', runtime: {}}
  - {name: down, group: outside, slo: 99.9%, slow: 100ms, http: {url: 'http://127.0.0.1:1/'}}
";

const OPENMETRICS: (&str, &str) =
    ("accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5");

fn started() -> TestApp {
    let app = TestApp::start(CHECKS);
    app.wait_for("fine", "healthy");
    app.wait_for("down", "error");
    // Families of the exporter itself appear with the first request of their kind.
    app.get("/metrics");
    app
}

/// Feeds text to a program and gives what it says, `None` when it is not installed.
fn judge(program: &str, arguments: &[&str], text: &[u8]) -> Option<(bool, String)> {
    let found = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = found else {
        crate::servers::report_missing(program);
        return None;
    };
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

fn unzipped(response: &Response) -> String {
    assert_eq!(response.header("content-encoding"), "gzip");
    let mut text = String::new();
    MultiGzDecoder::new(response.bytes.as_slice()).read_to_string(&mut text).unwrap();
    text
}

/// Names of families and samples without values, to compare two scrapes.
fn series(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let app = started();
    let metrics = app.get("/metrics");
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(metrics.header("vary"), "Accept, Accept-Encoding");
    let Some((good, said)) = judge("promtool", &["check", "metrics"], &metrics.bytes) else {
        return;
    };
    assert!(good && said.is_empty(), "{said}");
}

const PARSE: &str = "
import sys
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text
chosen = openmetrics if sys.argv[1] == 'openmetrics' else text
families = list(chosen.text_string_to_metric_families(sys.stdin.read()))
print(len(families), sum(len(family.samples) for family in families))
";

#[test]
fn both_formats_parse_back_with_the_parser_of_the_python_client() {
    let app = started();
    let text = app.get("/metrics");
    let openmetrics = app.request("GET", "/metrics", &[OPENMETRICS]);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(openmetrics.header("content-type"), content_type);
    assert!(openmetrics.body.ends_with("\n# EOF\n"));
    for (format, body) in [("text", &text), ("openmetrics", &openmetrics)] {
        let Some((good, said)) = judge("/usr/bin/python3", &["-c", PARSE, format], &body.bytes)
        else {
            return;
        };
        assert!(good, "{format}: {said}");
        let samples: usize = said.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert_eq!(samples, series(&body.body).len(), "{format}: every sample is understood");
    }
    assert_eq!(series(&text.body), series(&openmetrics.body));
}

#[test]
fn gzip_holds_the_same_in_two_members() {
    let app = started();
    for headers in [vec![], vec![OPENMETRICS]] {
        let plain = app.request("GET", "/metrics", &headers);
        let zipped = [headers, vec![("accept-encoding", "gzip")]].concat();
        let zipped = app.request("GET", "/metrics", &zipped);
        assert_eq!(series(&unzipped(&zipped)), series(&plain.body));
        assert!(zipped.bytes.len() * 4 < plain.bytes.len());
    }
}

#[test]
fn label_values_are_escaped() {
    let app = started();
    let line = "owner=\"team \\\"a\\\\b\\\"\",runbook_url=\"\",tags=\",own,web,\"} 1";
    assert!(app.get("/metrics").body.contains(line));
}

#[test]
fn compact_keeps_what_alerts_need_and_little_else() {
    let app = TestApp::start(&format!("metrics: {{detail: compact}}\n{CHECKS}"));
    app.wait_for("fine", "healthy");
    app.wait_for("down", "error");
    let scrape = app.scrape();
    let series = scrape.count(&[("check", "down")]);
    // 19, the reason of its failure and its objective.
    assert!(series <= 21, "{series} series for an http check");
    assert_eq!(
        scrape.value("health_check_duration_seconds_count", &[("check", "fine")]).map(|n| n > 0.0),
        Some(true)
    );
    let text = app.get("/metrics");
    let Some((good, said)) = judge("promtool", &["check", "metrics"], &text.bytes) else { return };
    assert!(good && said.is_empty(), "{said}");
}

#[test]
fn a_removed_threshold_leaves_no_series_and_a_set_one_has_its_value() {
    let app = started();
    let scrape = app.scrape();
    let slow = |check| scrape.value("health_check_slow_threshold_seconds", &[("check", check)]);
    assert_eq!((slow("down"), slow("fine")), (Some(0.1), None));
    let quorum = |check| scrape.value("health_check_quorum_ratio", &[("check", check)]);
    assert_eq!((quorum("down"), quorum("fine")), (Some(0.5), None));
    let slo = scrape.value("health_check_slo_objective_ratio", &[("check", "down")]);
    assert_eq!(slo, Some(0.999));
}

#[test]
fn the_samples_of_a_check_stay_within_their_budget() {
    let app = started();
    let scrape = app.scrape();
    let series = scrape.count(&[("check", "down")]);
    assert!(series <= 80, "{series} series for an http check");
}
