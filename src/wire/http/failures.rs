//! What went wrong with an exchange, in our words.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError, OtherError};

use super::hooks::Unresolved;
use crate::outcome::{Failure, Phase, Reason};

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
        return (Reason::Tls, tls(error, &scene.host));
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

fn tls(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate(error, host),
        rustls::Error::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        rustls::Error::AlertReceived(alert) => alert_received(*alert, host),
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
            "the server offers no TLS version or cipher that we accept".to_owned()
        }
        rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } => {
            "the server does not speak TLS on this port".to_owned()
        }
        _ => "the TLS handshake failed".to_owned(),
    }
}

fn certificate(error: &CertificateError, host: &str) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not yet valid")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is for another host than {host}")
        }
        CertificateError::UnknownIssuer => {
            format!("the certificate of {host} comes from an issuer that is not trusted")
        }
        CertificateError::Revoked => format!("the certificate of {host} has been revoked"),
        CertificateError::BadSignature => {
            format!("the certificate of {host} is not signed by the issuer it names")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("the certificate of {host} is not meant for servers")
        }
        CertificateError::Other(other) if is_authority(other) => {
            format!(
                "the certificate of {host} is made for an authority (CA:TRUE), not for a server"
            )
        }
        _ => format!("the certificate of {host} cannot be accepted"),
    }
}

/// What `openssl req -x509` makes unless it is told otherwise.
fn is_authority(error: &OtherError) -> bool {
    matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

fn alert_received(alert: AlertDescription, host: &str) -> String {
    match alert {
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => {
            "the server accepts no TLS version or cipher that we offer".to_owned()
        }
        AlertDescription::CertificateRequired => "the server wants a client certificate".to_owned(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            "the server refused our client certificate, or the lack of one".to_owned()
        }
        AlertDescription::UnrecognisedName => format!("the server knows no host {host}"),
        _ => "the server broke off the TLS handshake".to_owned(),
    }
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
