//! From settings to a check, or to every problem with them.

use std::{net::IpAddr, path::Path, sync::Arc};

use bytes::Bytes;
use http::Method;

use super::{
    Http,
    assertions::Assertions,
    client::{ClientSource, FreshClient},
    credentials::{Credentials, user},
    headers, origin,
    params::HttpParams,
    problems::Problems,
};
use crate::{
    check::{Built, Check, Params, Shared},
    units::ByteSize,
    wire::{
        http::{Route, Url},
        tls::TlsSettings,
    },
};

const DEFAULT_REDIRECTS: u8 = 3;
const MAX_REDIRECTS: u8 = 10;
/// A body that is judged is held in memory.
const MAX_MAX_BODY: ByteSize = ByteSize(100 << 20);

pub(super) fn build(params: Params<'_>, shared: &Shared) -> Built {
    let given: HttpParams = params.decode()?;
    let mut problems = Problems::new(params);
    judge_limits(&mut problems, &given);
    judge_credentials(&mut problems, &given);

    let url = problems.value("url", origin::url(&given.url));
    let redirects = redirects(&mut problems, &given);
    let headers = headers::parse(&mut problems, &given.headers);
    let assertions = Assertions::new(&mut problems, &given);
    let client = client_source(&mut problems, &given);
    let route = url.as_ref().and_then(|url| route(&mut problems, &given, url));
    let bearer = given.bearer_token_file.as_deref();
    let credentials = problems.take(Credentials::new(params, given.basic_auth.as_ref(), bearer));
    let (Some(url), Some(route), Some(mut client), Some(credentials), true) =
        (url, route, client, credentials, problems.is_empty())
    else {
        return Err(problems.sorted());
    };

    if url.scheme() == "https" && given.tls.ca_file.is_none() {
        // The authorities of the machine would otherwise be read in the first handshake.
        shared.wire.roots();
    }
    client.http1_only = route.needs_host_header();
    let client = FreshClient::new(shared.wire.clone(), client)
        .map_err(|problem| vec![params.problem(&problem.key, problem.message)])?;
    Ok(Box::new(Http {
        target: origin::target(&url),
        url,
        method: given.method.into(),
        headers,
        body: given
            .body
            .map(|body| Bytes::copy_from_slice(body.expose().as_bytes()))
            .unwrap_or_default(),
        redirects,
        status: given.status,
        assertions: Arc::new(assertions),
        max_body: given.max_body,
        cert_expiry: given.cert_expiry,
        credentials,
        client,
        route,
    }) as Box<dyn Check>)
}

fn judge_limits(problems: &mut Problems<'_>, given: &HttpParams) {
    if given.max_body > MAX_MAX_BODY {
        let message = format!("expected at most {MAX_MAX_BODY}, found `{}`", given.max_body);
        problems.add("max_body", message);
    }
    if given.cert_expiry.is_some_and(|limits| !limits.fall()) {
        problems.add("cert_expiry", "expected a warning that is not below critical");
    }
    let judges_body = !given.body_regex.0.is_empty()
        || !given.body_not_regex.0.is_empty()
        || !given.json.is_empty();
    if Method::from(given.method) == Method::HEAD && judges_body {
        problems
            .add("method", "expected a method other than HEAD, whose answer has no body to judge");
    }
}

fn judge_credentials(problems: &mut Problems<'_>, given: &HttpParams) {
    if given.basic_auth.is_some() && given.bearer_token_file.is_some() {
        let message = "expected only one of `basic_auth` and `bearer_token_file`";
        problems.add("bearer_token_file", message);
    }
    let authorization =
        given.headers.keys().find(|name| name.eq_ignore_ascii_case("authorization"));
    if let (Some(name), true) = (authorization, logs_in(given)) {
        let message = "expected no such header beside `basic_auth` or `bearer_token_file`";
        problems.add(&format!("headers.{name}"), message);
    }
}

fn logs_in(given: &HttpParams) -> bool {
    given.basic_auth.is_some() || given.bearer_token_file.is_some()
}

fn redirects(problems: &mut Problems<'_>, given: &HttpParams) -> u8 {
    let credentials = logs_in(given)
        || given.tls.cert_file.is_some()
        || given.headers.keys().any(|name| headers::is_credential(name));
    let plain = given.headers.is_empty() && given.body.is_none();
    match given.redirects {
        Some(count) if count > MAX_REDIRECTS => {
            problems.add("redirects", format!("expected 0 to {MAX_REDIRECTS}, found `{count}`"));
            0
        }
        Some(count) if count > 0 && credentials => {
            problems.add("redirects", "expected 0, since credentials never follow a redirect");
            0
        }
        Some(count) => count,
        None if plain && !credentials => DEFAULT_REDIRECTS,
        None => 0,
    }
}

fn client_source(problems: &mut Problems<'_>, given: &HttpParams) -> Option<ClientSource> {
    let params = problems.params;
    let resolve = |path: &Option<_>| path.as_deref().map(|path| params.resolve(path));
    let tls = TlsSettings {
        ca_file: resolve(&given.tls.ca_file),
        cert_file: resolve(&given.tls.cert_file),
        key_file: resolve(&given.tls.key_file),
        ..given.tls.clone()
    };
    // The name is judged where the route is made.
    let files = TlsSettings { server_name: None, ..tls.clone() };
    if let Err(problem) = files.load(Path::to_path_buf) {
        problems.add(&format!("tls.{}", problem.key), problem.message);
    }
    if given.proxy_auth.is_some() && given.proxy.is_none() {
        problems.add("proxy_auth", "expected only together with `proxy`");
    }
    let auth = given.proxy_auth.as_ref().map(|auth| user(params, "proxy_auth", auth));
    let auth = auth.map(|auth| problems.take(auth));
    let url = given.proxy.as_deref().map(|text| problems.value("proxy", origin::proxy(text)));
    let proxy = match (url, auth) {
        (None, _) => None,
        (Some(url), None) => Some((url?, None)),
        (Some(url), Some(auth)) => Some((url?, Some(auth?))),
    };
    Some(ClientSource { tls, proxy, http1_only: false })
}

fn route(problems: &mut Problems<'_>, given: &HttpParams, url: &Url) -> Option<Route> {
    let known = problems.count();
    let family = given.ip_protocol.map(Into::into);
    let host_address = origin::literal(url);
    if let (Some(address), Some(family)) = (host_address, family)
        && !origin::fits(address, family)
    {
        let message =
            format!("expected the version of the address in `url`, not {}", family.as_str());
        problems.add("ip_protocol", message);
    }
    let address = given.resolve_to.as_deref();
    let address = address.and_then(|text| problems.value("resolve_to", origin::address(text)));
    if let Some(address) = address {
        if given.proxy.is_some() {
            problems
                .add("resolve_to", "expected no `proxy` beside it, which resolves the host itself");
        } else if host_address.is_some() {
            problems.add("resolve_to", "expected a name as the host of `url`, which is an address");
        } else if let Some(family) = family.filter(|family| !family.holds(address)) {
            let message =
                format!("expected an {} address because of `ip_protocol`", family.as_str());
            problems.add("resolve_to", message);
        }
    }
    if let Some(name) = &given.tls.server_name {
        if url.scheme() != "https" {
            problems.add("tls.server_name", "expected an https:// URL beside it");
        } else if given.proxy.is_some() {
            problems.add("tls.server_name", "expected no `proxy` beside it");
        } else if name.parse::<IpAddr>().is_ok() || url.clone().set_host(Some(name)).is_err() {
            problems.add("tls.server_name", "expected a host name");
        }
    }
    (problems.count() == known).then(|| Route {
        own: Some(url.clone()),
        address,
        server_name: given.tls.server_name.clone(),
        family,
    })
}
