//! Decoding, seen from outside.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{decode, parse};
use crate::units::{Period, Ratio};

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Section {
    url: String,
    timeout: Option<Period>,
    #[serde(default)]
    ratio: Option<Ratio>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<u16>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Fast,
    Slow,
}

fn section(text: &str) -> Result<Section, Vec<String>> {
    let node = parse(text, "f.yml").unwrap();
    decode(&node, "http").map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn texts_take_the_type_that_is_asked_for() {
    let section = section(
        "url: 1.10\ntimeout: 5s\nratio: 80%\nlabels: {a: true}\nports: ['80', 443]\nmode: slow\n",
    )
    .unwrap();
    assert_eq!(section.url, "1.10");
    assert_eq!(section.labels["a"], "true");
    assert_eq!(section.ports, [80, 443]);
    assert_eq!(section.mode, Mode::Slow);
}

#[test]
fn null_is_no_value() {
    assert!(section("url: x\ntimeout: ~\n").unwrap().timeout.is_none());
    assert!(section("url: x\ntimeout:\n").unwrap().timeout.is_none());
}

#[test]
fn every_unknown_key_is_reported_beside_the_first_type_error() {
    assert_eq!(
        section("address: x\ntimeout: 5x\nprts: 1\n").unwrap_err(),
        [
            "f.yml:1:1: http.address: unknown key, expected one of `url`, `timeout`, `ratio`, \
             `labels`, `ports`, `mode`",
            "f.yml:3:1: http.prts: unknown key, did you mean `ports`?",
            "f.yml:2:10: http.timeout: expected a duration such as 15s, 1m30s or 800ms, \
             found `5x`",
        ]
    );
}

#[test]
fn type_errors_say_where_and_what_was_expected() {
    for (text, message) in [
        ("{}", "f.yml:1:1: http: the key `url` is missing"),
        ("url: [a]", "f.yml:1:6: http.url: expected a text, found a list"),
        ("url:", "f.yml:1:4: http.url: expected a text, found nothing"),
        ("url: x\nports: 80", "f.yml:2:8: http.ports: expected a list, found a text"),
        (
            "url: x\nports: [1, 99999]",
            "f.yml:2:12: http.ports[1]: expected a whole number from 0 to 65535, found `99999`",
        ),
        (
            "url: x\nratio: 80",
            "f.yml:2:8: http.ratio: expected a share from 0 to 1 or 0% to 100%, found `80`",
        ),
        (
            "url: x\nmode: medium",
            "f.yml:2:7: http.mode: expected one of `fast`, `slow`, found `medium`",
        ),
    ] {
        assert_eq!(section(text).unwrap_err(), [message], "{text}");
    }
}
