//! What an answer is to look like beyond its status.

use http::{HeaderMap, HeaderName};
use regex::bytes::Regex;

use super::{
    headers,
    json::JsonAssertion,
    params::HttpParams,
    patterns::{Patterns, compile, short},
    problems::Problems,
};

/// Everything that is asserted about the headers and the body of an answer.
#[derive(Debug, Default)]
pub(super) struct Assertions {
    /// One value of each of these headers matches.
    pub(super) headers: Vec<(HeaderName, Regex)>,
    /// Each of these is found in the body.
    pub(super) body: Vec<Regex>,
    /// None of these is found in the body.
    pub(super) not_body: Vec<Regex>,
    /// Each of these holds for the body.
    pub(super) json: Vec<JsonAssertion>,
}

impl Assertions {
    /// Compiles what is asserted.
    pub(super) fn new(problems: &mut Problems<'_>, given: &HttpParams) -> Self {
        let mut assertions = Self {
            headers: Vec::new(),
            body: regexes(problems, "body_regex", &given.body_regex),
            not_body: regexes(problems, "body_not_regex", &given.body_not_regex),
            json: Vec::new(),
        };
        for (name, pattern) in &given.header_regex {
            let key = format!("header_regex.{name}");
            let name = problems.value(&key, headers::name(name));
            let regex = problems.value(&key, compile(pattern));
            assertions.headers.extend(name.zip(regex));
        }
        for (index, params) in given.json.iter().enumerate() {
            match JsonAssertion::new(params) {
                Ok(assertion) => assertions.json.push(assertion),
                Err(wrong) => {
                    for (key, message) in wrong {
                        problems.add(&format!("json[{index}]{key}"), message);
                    }
                }
            }
        }
        assertions
    }

    /// Whether the body has to be kept.
    pub(super) fn need_body(&self) -> bool {
        !(self.body.is_empty() && self.not_body.is_empty() && self.json.is_empty())
    }

    /// What is wrong with the headers.
    pub(super) fn judge_headers(&self, headers: &HeaderMap, failures: &mut Vec<String>) {
        for (name, regex) in &self.headers {
            let mut values = headers.get_all(name).iter().peekable();
            if values.peek().is_none() {
                failures.push(format!("there is no header `{name}`"));
            } else if !values.any(|value| regex.is_match(value.as_bytes())) {
                let pattern = short(regex.as_str());
                failures.push(format!("the header `{name}` does not match `{pattern}`"));
            }
        }
    }

    /// What is wrong with the body; its text is never quoted.
    pub(super) fn judge_body(&self, body: &[u8]) -> Vec<String> {
        let missing = self.body.iter().filter(|regex| !regex.is_match(body));
        let missing =
            missing.map(|regex| format!("the body does not match `{}`", short(regex.as_str())));
        let present = self.not_body.iter().filter(|regex| regex.is_match(body));
        let present = present.map(|regex| format!("the body matches `{}`", short(regex.as_str())));
        missing.chain(present).chain(self.judge_json(body)).collect()
    }

    fn judge_json(&self, body: &[u8]) -> Vec<String> {
        if self.json.is_empty() {
            return Vec::new();
        }
        match serde_json::from_slice(body) {
            Ok(document) => {
                self.json.iter().filter_map(|assertion| assertion.failure(&document)).collect()
            }
            Err(_) => vec!["the body is not JSON".to_owned()],
        }
    }
}

fn regexes(problems: &mut Problems<'_>, key: &str, given: &Patterns) -> Vec<Regex> {
    let compiled = given.0.iter().enumerate().map(|(index, pattern)| {
        let key = if given.0.len() == 1 { key.to_owned() } else { format!("{key}[{index}]") };
        problems.value(&key, compile(pattern))
    });
    compiled.collect::<Vec<_>>().into_iter().flatten().collect()
}
