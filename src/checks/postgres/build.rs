//! From the settings to a check, or to all that is wrong with them.

use std::collections::HashSet;

use tokio_postgres::config::SslMode as DriverMode;

use super::{
    Postgres,
    address::{Address, KeyProblem},
    connect::{self, Connector},
    custom::CustomMetric,
    expect::Expectation,
    params::{PostgresParams, SslMode},
    tls::Tls,
};
use crate::{
    check::{Built, Params, Shared},
    node::Problem,
    reading::ReadingDef,
    secret::SecretSource,
    wire::tls::TlsSettings,
};

/// The statement of the user and what its value is to be.
pub(super) type Query = (String, Expectation);

/// Makes the check, without reaching for the server.
pub(super) fn build(params: Params<'_>, shared: &Shared) -> Built {
    let mut settings: PostgresParams = params.decode()?;
    let mut problems = disordered_limits(&settings, params);
    let found = Address::new(&settings).map_err(|found| located(params, "", found));
    let address = keep(&mut problems, found);
    let found = password(&mut settings, address.as_ref(), params);
    let password = keep(&mut problems, found);
    let found = address.as_ref().map(|address| encryption(&settings, address, params, shared));
    let encryption = found.and_then(|found| keep(&mut problems, found));
    let found = query(&mut settings, params);
    let query = keep(&mut problems, found);
    let found = metrics(&mut settings, params);
    let metrics = keep(&mut problems, found);
    let (Some(address), Some(password), Some((mode, tls)), Some(query), Some(metrics), []) =
        (address, password, encryption, query, metrics, &problems[..])
    else {
        return Err(problems);
    };
    let mut config = address.config;
    config.ssl_mode(mode);
    let connector = Connector { host: address.host, password, tls, wire: shared.wire.clone() };
    let pool = connect::pool(config, connector)
        .map_err(|_| vec![params.problem("", "the connection pool cannot be made")])?;
    let families = metrics.iter().flat_map(CustomMetric::families).cloned().collect();
    Ok(Box::new(Postgres {
        pool,
        tls_required: mode == DriverMode::Require,
        target: address.target,
        settings,
        query,
        metrics,
        families,
    }))
}

fn keep<T>(problems: &mut Vec<Problem>, found: Result<T, Vec<Problem>>) -> Option<T> {
    found.map_err(|found| problems.extend(found)).ok()
}

fn located(params: Params<'_>, path: &str, found: Vec<KeyProblem>) -> Vec<Problem> {
    let key = |key: &str| match (path, key) {
        ("", key) => key.to_owned(),
        (path, "") => path.to_owned(),
        (path, key) => format!("{path}.{key}"),
    };
    found.into_iter().map(|(name, message)| params.problem(&key(name), message)).collect()
}

fn disordered_limits(settings: &PostgresParams, params: Params<'_>) -> Vec<Problem> {
    [
        ("connections_ratio", settings.connections_ratio.is_none_or(|limits| limits.rise())),
        ("replication_lag", settings.replication_lag.is_none_or(|limits| limits.rise())),
        ("longest_transaction", settings.longest_transaction.is_none_or(|limits| limits.rise())),
    ]
    .iter()
    .filter(|(_, ordered)| !ordered)
    .map(|(key, _)| params.problem(key, "expected a warning that is not above critical"))
    .collect()
}

fn password(
    settings: &mut PostgresParams,
    address: Option<&Address>,
    params: Params<'_>,
) -> Result<Option<SecretSource>, Vec<Problem>> {
    let in_url = address.is_some_and(|address| address.config.get_password().is_some());
    if in_url && (settings.password.is_some() || settings.password_file.is_some()) {
        let message = "expected no password in it beside `password` or `password_file`";
        return Err(vec![params.problem("url", message)]);
    }
    params.secret("password", settings.password.take(), settings.password_file.as_deref())
}

fn encryption(
    settings: &PostgresParams,
    address: &Address,
    params: Params<'_>,
    shared: &Shared,
) -> Result<(DriverMode, Option<Tls>), Vec<Problem>> {
    let problem = |key: &str, message: &str| Err(vec![params.problem(key, message)]);
    if settings.sslmode.is_some() && address.sslmode.is_some() {
        return problem("sslmode", "expected it in `url` or here, not in both");
    }
    let mode = settings.sslmode.or(address.sslmode).unwrap_or_else(|| {
        if address.is_socket {
            SslMode::Disable
        } else if settings.tls.is_some() {
            SslMode::Require
        } else {
            SslMode::Prefer
        }
    });
    let driver_mode = match mode {
        SslMode::Require | SslMode::VerifyFull if address.is_socket => {
            let key = if settings.sslmode.is_some() { "sslmode" } else { "url" };
            return problem(key, "expected no TLS on a Unix socket");
        }
        _ if address.is_socket && settings.tls.is_some() => {
            return problem("tls", "expected no TLS on a Unix socket");
        }
        SslMode::Disable if settings.tls.is_some() => {
            return problem("tls", "expected none when `sslmode` is `disable`");
        }
        SslMode::Prefer if !address.is_socket => DriverMode::Prefer,
        SslMode::Require | SslMode::VerifyFull => DriverMode::Require,
        SslMode::Disable | SslMode::Prefer => return Ok((DriverMode::Disable, None)),
    };
    let written = settings.tls.clone().unwrap_or_default();
    let resolved = TlsSettings {
        ca_file: written.ca_file.as_deref().map(|path| params.resolve(path)),
        cert_file: written.cert_file.as_deref().map(|path| params.resolve(path)),
        key_file: written.key_file.as_deref().map(|path| params.resolve(path)),
        ..written
    };
    let tls = Tls::new(resolved, shared.wire.clone())
        .map_err(|found| vec![params.problem(&format!("tls.{}", found.key), found.message)])?;
    Ok((driver_mode, Some(tls)))
}

fn query(settings: &mut PostgresParams, params: Params<'_>) -> Result<Option<Query>, Vec<Problem>> {
    let expectation = settings
        .expect
        .take()
        .map(|expect| Expectation::new(expect).map_err(|found| located(params, "expect", found)))
        .transpose()?;
    match (settings.query.take(), expectation) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(vec![params.problem("expect", "needs `query` too")]),
        (Some(query), _) if query.trim().is_empty() => {
            Err(vec![params.problem("query", "expected a statement")])
        }
        (Some(query), expectation) => Ok(Some((query, expectation.unwrap_or_default()))),
    }
}

fn metrics(
    settings: &mut PostgresParams,
    params: Params<'_>,
) -> Result<Vec<CustomMetric>, Vec<Problem>> {
    let (mut metrics, mut problems, mut names) = (Vec::new(), Vec::new(), HashSet::new());
    for (index, metric) in std::mem::take(&mut settings.metrics).into_iter().enumerate() {
        let path = format!("metrics[{index}]");
        match CustomMetric::new(metric) {
            Err(found) => problems.extend(located(params, &path, found)),
            Ok(metric) => {
                let name = |family: &ReadingDef| family.name().to_owned();
                if let Some(taken) =
                    metric.families().map(name).find(|name| !names.insert(name.clone()))
                {
                    let message = format!("expected another name, `{taken}` is taken");
                    problems.push(params.problem(&format!("{path}.name"), message));
                }
                metrics.push(metric);
            }
        }
    }
    if problems.is_empty() { Ok(metrics) } else { Err(problems) }
}
