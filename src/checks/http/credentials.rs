//! Who the check is to the server.

use std::path::Path;

use super::params::BasicAuth;
use crate::{
    check::Params,
    node::Problem,
    outcome::{Failure, Reason},
    secret::SecretSource,
    wire::http::Authorization,
};

/// Where the content of the header `Authorization` comes from.
#[derive(Debug)]
pub(super) enum Credentials {
    /// Nobody in particular.
    None,
    /// User and password.
    Basic(String, SecretSource),
    /// A token.
    Bearer(SecretSource),
}

impl Credentials {
    /// What `basic_auth` or else `bearer_token_file` says.
    pub(super) fn new(
        params: Params<'_>,
        basic: Option<&BasicAuth>,
        bearer: Option<&Path>,
    ) -> Result<Self, Vec<Problem>> {
        if let Some(basic) = basic {
            let (username, password) = user(params, "basic_auth", basic)?;
            return Ok(Self::Basic(username, password));
        }
        let token = params.secret("bearer_token", None, bearer)?;
        Ok(token.map_or(Self::None, Self::Bearer))
    }

    /// The credentials as they are now.
    pub(super) fn read(&self) -> Result<Option<Authorization>, Failure> {
        let read = |key: &str, source: &SecretSource| {
            source.read().map_err(|error| {
                Failure::new(Reason::Config, format!("{key} cannot be read")).with_source(error)
            })
        };
        match self {
            Self::None => Ok(None),
            Self::Basic(username, password) => Ok(Some(Authorization::Basic {
                username: username.clone(),
                password: read("basic_auth.password_file", password)?,
            })),
            Self::Bearer(token) => {
                Ok(Some(Authorization::Bearer(read("bearer_token_file", token)?)))
            }
        }
    }
}

/// A user with the source of the password.
pub(super) fn user(
    params: Params<'_>,
    key: &str,
    given: &BasicAuth,
) -> Result<(String, SecretSource), Vec<Problem>> {
    let BasicAuth { username, password, password_file } = given;
    let mut problems = Vec::new();
    if username.contains(':') {
        let message = "expected a user without a colon, which HTTP cannot send";
        problems.push(params.problem(&format!("{key}.username"), message));
    }
    let password =
        params.secret(&format!("{key}.password"), password.clone(), password_file.as_deref());
    match password {
        Ok(Some(password)) if problems.is_empty() => return Ok((username.clone(), password)),
        Ok(Some(_)) => {}
        Ok(None) => {
            let message = "expected one of `password` and `password_file`";
            problems.push(params.problem(key, message));
        }
        Err(more) => problems.extend(more),
    }
    Err(problems)
}
