//! What is said about settings that make no sense.

use super::*;

fn problems(section: &str) -> Vec<String> {
    build("http", section).err().unwrap_or_default()
}

/// The only problem of a section, without its place.
fn problem(section: &str) -> String {
    let problems = problems(section);
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    problem.split_once(": ").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_url_is_all_that_is_needed() {
    assert_eq!(problems("url: https://example.com/"), [""; 0]);
    assert_eq!(problem("method: GET"), "http: the key `url` is missing");
}

#[tokio::test]
async fn every_key_can_be_set() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, path) = (Authority::new(), folder.path().display());
    authority.write(folder.path());
    authority.issue(&["client"], -1, 1).write(folder.path());
    std::fs::write(folder.path().join("token"), "t0ken").unwrap();
    let request = r#"
method: PATCH
headers: {X-Api-Key: k}
body: '{"ping": true}'
status: [200-299, 404]
body_regex: [a, b]
body_not_regex: c
json:
  - {path: $.status, equals: ok}
  - {path: $.version, matches: '^2\.', not_equals: 2.0.1}
  - {path: $.depth, above: -1, below: 1e3}
  - {path: "$.parts[?@.up == false]", exists: false}
header_regex: {Cache-Control: no-store}
max_body: 100MiB
cert_expiry: {warning: 30d}
ip_protocol: 6
"#;
    let tls =
        format!("ca_file: {path}/ca.pem, cert_file: {path}/cert.pem, key_file: {path}/key.pem");
    for way in [
        format!("bearer_token_file: {path}/token\nresolve_to: '[::1]:8443'"),
        format!("basic_auth: {{username: me, password_file: {path}/token}}\nredirects: 0"),
        format!(
            "proxy: http://proxy:3128\nproxy_auth: {{username: me, password: ''}}\ntls: {{{tls}}}"
        ),
        format!("tls: {{{tls}, server_name: b.test, insecure: true}}"),
    ] {
        let section = format!("url: https://a.test:444/x?y=z\n{way}{request}");
        assert_eq!(problems(&section), [""; 0], "{way}");
    }
    assert_eq!(problems("url: http://a.test\nredirects: 10\ncert_expiry: null"), [""; 0]);
}

#[tokio::test]
async fn every_problem_is_listed_with_its_place() {
    let section = r#"url: https://example.com/
body_regex: ["ok", "("]
header_regex: {"bad name": x, etag: "["}
json:
  - path: status
    equals: ok
  - path: $.a
  - {path: $.b, matches: "*", exists: false}
max_body: 1GiB
redirects: 11
cert_expiry: {warning: 1d, critical: 2d}
basic_auth: {username: "a:b", password: x}
bearer_token_file: /nonexistent/token
headers: {Host: example.org, Authorization: x}
tls: {cert_file: /nonexistent/cert}
proxy: https://proxy:3128
proxy_auth: {username: me}
resolve_to: "::1"
"#;
    assert_eq!(
        problems(section),
        [
            "f.yml:2:20: http.body_regex[1]: expected a regular expression, found a mistake: \
             unclosed group",
            "f.yml:3:28: http.header_regex.bad name: expected the name of a header such as \
             content-type",
            "f.yml:3:37: http.header_regex.etag: expected a regular expression, found a mistake: \
             unclosed character class",
            "f.yml:5:11: http.json[0].path: expected a path that begins with $, such as $.status",
            "f.yml:7:5: http.json[1]: expected a comparison: one of `equals`, `not_equals`, \
             `matches`, `above`, `below`, `exists`",
            "f.yml:8:26: http.json[2].matches: expected a regular expression, found a mistake: \
             repetition operator missing expression",
            "f.yml:9:11: http.max_body: expected at most 100MiB, found `1GiB`",
            "f.yml:10:12: http.redirects: expected 0 to 10, found `11`",
            "f.yml:11:14: http.cert_expiry: expected a warning that is not below critical",
            "f.yml:12:24: http.basic_auth.username: expected a user without a colon, which HTTP \
             cannot send",
            "f.yml:13:20: http.bearer_token_file: expected only one of `basic_auth` and \
             `bearer_token_file`",
            "f.yml:14:17: http.headers.Host: expected the host in `url`; `resolve_to` says where \
             to find it",
            "f.yml:14:45: http.headers.Authorization: expected no such header beside \
             `basic_auth` or `bearer_token_file`",
            "f.yml:15:18: http.tls.cert_file: needs `key_file` too",
            "f.yml:16:8: http.proxy: expected http://, found https:",
            "f.yml:17:13: http.proxy_auth: expected one of `password` and `password_file`",
            "f.yml:18:13: http.resolve_to: expected no `proxy` beside it, which resolves the host \
             itself",
        ]
    );
}

#[tokio::test]
async fn a_url_that_cannot_be_asked_is_refused_without_being_quoted() {
    for (url, message) in [
        ("example.com/x", "expected a URL such as https://example.com/health"),
        ("ftp://example.com/", "expected http:// or https://, found ftp:"),
        ("localhost:8080", "expected a URL such as https://example.com/health"),
        ("http://", "expected a URL such as https://example.com/health"),
        (
            "https://me:s3cret@example.com/",
            "expected no user and password, which belong into `basic_auth`",
        ),
        (
            "https://me@example.com/",
            "expected no user and password, which belong into `basic_auth`",
        ),
    ] {
        assert_eq!(problem(&format!("url: {url}")), format!("http.url: {message}"));
    }
}

#[tokio::test]
async fn statuses_are_codes_and_ranges() {
    for (status, found) in [("2xx", "2xx"), ("99", "99"), ("300-200", "300-200"), ("600", "600")] {
        let message = format!(
            "http.status: expected a status such as 204 or a range such as 200-299, found `{found}`"
        );
        assert_eq!(problem(&format!("url: http://a.test\nstatus: {status}")), message);
    }
    assert_eq!(
        problem("url: http://a.test\nstatus: [200, 1]"),
        "http.status[1]: expected a status such as 204 or a range such as 200-299, found `1`"
    );
    assert_eq!(
        problem("url: http://a.test\nstatus: []"),
        "http.status: expected at least one status"
    );
}

#[tokio::test]
async fn what_yaml_takes_for_a_number_is_no_regular_expression() {
    assert_eq!(
        problem("url: http://a.test\nbody_regex: 1.10"),
        "http.body_regex: expected a regular expression in quotes"
    );
    assert_eq!(problems("url: http://a.test\nbody_regex: '1.10'"), [""; 0]);
}

#[tokio::test]
async fn an_expected_value_is_a_scalar() {
    let equals =
        |value: &str| problem(&format!("url: http://a.test\njson: [{{path: $, equals: {value}}}]"));
    let expected = "http.json[0].equals: expected a text, a number, true, false or null, found";
    assert_eq!(equals("[1]"), format!("{expected} a list"));
    assert_eq!(equals("{a: 1}"), format!("{expected} a mapping"));
    assert_eq!(
        equals("nan"),
        format!("{expected} a number that JSON does not know; quote it if it is a text")
    );
    assert_eq!(
        problem("url: http://a.test\njson: [{path: $, exists: false, above: 1}]"),
        "http.json[0].exists: expected no other comparison beside `exists: false`"
    );
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_refused() {
    for (section, message) in [
        (
            "url: http://a.test\nmethod: HEAD\nbody_regex: x",
            "http.method: expected a method other than HEAD, whose answer has no body to judge",
        ),
        (
            "url: http://a.test\nbasic_auth: {username: a, password: b}\nredirects: 1",
            "http.redirects: expected 0, since credentials never follow a redirect",
        ),
        (
            "url: http://a.test\nheaders: {cookie: a}\nredirects: 1",
            "http.redirects: expected 0, since credentials never follow a redirect",
        ),
        (
            "url: http://a.test\nheaders: {a: b, A: c}",
            "http.headers.a: stands twice; case makes no difference",
        ),
        (
            "url: http://a.test\nheaders: {content-length: 5}",
            "http.headers.content-length: cannot be set: it follows from how the request is sent",
        ),
        (
            "url: http://10.0.0.1\nip_protocol: 6",
            "http.ip_protocol: expected the version of the address in `url`, not IPv6",
        ),
        (
            "url: http://a.test\nip_protocol: 5",
            "http.ip_protocol: expected one of `4`, `6`, found `5`",
        ),
        (
            "url: http://10.0.0.1\nresolve_to: 10.0.0.2",
            "http.resolve_to: expected a name as the host of `url`, which is an address",
        ),
        (
            "url: http://a.test\nresolve_to: 10.0.0.2\nip_protocol: 6",
            "http.resolve_to: expected an IPv6 address because of `ip_protocol`",
        ),
        (
            "url: http://a.test\nresolve_to: b.test",
            "http.resolve_to: expected an address such as 10.0.0.1, 10.0.0.1:8443 or [::1]:8443, \
             found `b.test`",
        ),
        (
            "url: http://a.test\ntls: {server_name: b.test}",
            "http.tls.server_name: expected an https:// URL beside it",
        ),
        (
            "url: https://a.test\ntls: {server_name: 10.0.0.1}",
            "http.tls.server_name: expected a host name",
        ),
        (
            "url: https://a.test\nproxy: http://me:s3cret@proxy",
            "http.proxy: expected no user and password, which belong into `proxy_auth`",
        ),
        (
            "url: https://a.test\nproxy: http://proxy/path",
            "http.proxy: expected nothing behind host and port",
        ),
        (
            "url: https://a.test\nproxy_auth: {username: a, password: b}",
            "http.proxy_auth: expected only together with `proxy`",
        ),
        (
            "url: https://a.test\ntls: {ca_file: /nonexistent/ca}",
            "http.tls.ca_file: /nonexistent/ca cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(problem(section), message);
    }
}
