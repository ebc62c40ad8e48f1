//! What went wrong with an exchange, in our words.

use std::{error::Error, io};

use super::hooks::Unresolved;
use crate::{
    outcome::{Failure, Phase, Reason},
    wire::handshake,
};

/// Where an exchange failed.
pub(super) struct Scene {
    /// What it was about to do.
    pub(super) phase: Phase,
    /// The host whose certificate was expected.
    pub(super) host: String,
    /// Whether connecting meant connecting to a proxy.
    pub(super) proxied: bool,
}

/// What kept an exchange from an answer.
pub(super) fn failure(error: reqwest::Error, scene: &Scene) -> Failure {
    let (reason, message) = judge(&error, scene);
    // The library would print the URL with its query.
    Failure::new(reason, message).with_source(error.without_url())
}

/// What kept an answer from coming to its end.
pub(super) fn broken_body(error: reqwest::Error) -> Failure {
    let io = find::<io::Error>(&error).map(io::Error::kind);
    let (reason, message) = match (find::<hyper::Error>(&error), io) {
        (None, _) => (Reason::Protocol, "the answer is not the gzip that it claims to be"),
        (_, Some(io::ErrorKind::ConnectionReset)) => {
            (Reason::Connect, "the connection was reset in the middle of the answer")
        }
        (_, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)) => {
            (Reason::Protocol, "the answer is not cut into valid chunks")
        }
        _ => (Reason::Protocol, "the answer ended early"),
    };
    Failure::new(reason, message).with_source(error.without_url())
}

fn judge(error: &reqwest::Error, scene: &Scene) -> (Reason, String) {
    if let Some(unresolved) = find::<Unresolved>(error) {
        return (Reason::Dns, unresolved.to_string());
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return (Reason::Tls, handshake::explain(error, &scene.host));
    }
    let io = find::<io::Error>(error).map(io::Error::kind);
    match scene.phase {
        Phase::Tls => {
            (Reason::Tls, "the connection was closed during the TLS handshake".to_owned())
        }
        Phase::Resolve | Phase::Connect => connect(error, io, scene.proxied),
        _ => processing(error, io),
    }
}

fn connect(error: &reqwest::Error, io: Option<io::ErrorKind>, proxied: bool) -> (Reason, String) {
    let (whole, connection) = if proxied {
        ("the proxy", "the connection to the proxy")
    } else {
        ("the host", "the connection")
    };
    let message = match io {
        Some(io::ErrorKind::ConnectionRefused) => format!("{connection} was refused"),
        Some(io::ErrorKind::ConnectionReset) => format!("{connection} was reset"),
        Some(io::ErrorKind::HostUnreachable) => format!("{whole} is unreachable"),
        Some(io::ErrorKind::NetworkUnreachable) => format!("the network of {whole} is unreachable"),
        Some(io::ErrorKind::TimedOut) => format!("{whole} did not answer"),
        Some(io::ErrorKind::AddrNotAvailable) => {
            "no local address or port is free to connect from".to_owned()
        }
        // What a proxy says comes without a cause of the system, and as a type that is not public.
        None if mentions(error, "proxy authorization required") => {
            return (Reason::Auth, "the proxy wants other credentials".to_owned());
        }
        None if proxied => "the proxy opened no tunnel to the host".to_owned(),
        _ => format!("{connection} failed"),
    };
    (Reason::Connect, message)
}

fn processing(error: &reqwest::Error, io: Option<io::ErrorKind>) -> (Reason, String) {
    let (reason, message) = match (find::<hyper::Error>(error), io) {
        (Some(error), _) if error.is_parse() => {
            (Reason::Protocol, "the answer is not valid HTTP, or its head is too large")
        }
        (_, Some(io::ErrorKind::ConnectionReset)) => {
            (Reason::Connect, "the connection was reset before an answer")
        }
        (Some(error), _) if error.is_incomplete_message() || error.is_closed() => {
            (Reason::Connect, "the connection was closed before an answer")
        }
        (_, Some(_)) => (Reason::Connect, "the connection broke before an answer"),
        _ => (Reason::Protocol, "the exchange failed before an answer"),
    };
    (reason, message.to_owned())
}

/// The first cause of this type; what an I/O error wraps is a cause too, though it hides it.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn mentions(error: &(dyn Error + 'static), text: &str) -> bool {
    causes(error).any(|cause| cause.to_string().contains(text))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}
