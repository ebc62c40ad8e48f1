//! What the errors of the driver and of the server mean.

use std::io;

use rustls::CertificateError;
use tokio_postgres::{Error, error::SqlState};

use crate::outcome::{Failure, Reason};

/// How far the making of a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The socket is opened.
    Connecting,
    /// The socket is open and nothing encrypted yet.
    Connected,
    /// The TLS handshake goes on.
    Handshake,
    /// All that follows is encrypted.
    Encrypted,
}

/// A failure while a connection is made. `no_password` says why none could be sent.
pub(super) fn while_connecting(
    error: Error,
    step: Step,
    tls_required: bool,
    no_password: Option<&str>,
) -> Failure {
    if error.code().is_some() || !has_foreign_cause(&error) {
        return in_session(error);
    }
    let (reason, message) = match (cause::<io::Error>(&error), step) {
        (Some(cause), Step::Connecting) => unreachable(cause),
        (Some(cause), Step::Handshake) if tls_fault(cause).is_none() => {
            (Reason::Tls, "the TLS handshake broke off")
        }
        (Some(cause), _) => of_io(cause),
        (None, Step::Connected) if tls_required => (Reason::Tls, "the server offers no TLS"),
        (None, _) => {
            (Reason::Auth, no_password.unwrap_or("the server asks for a login we do not know"))
        }
    };
    Failure::new(reason, message).with_source(error)
}

/// A failure of an open connection.
pub(super) fn in_session(error: Error) -> Failure {
    let (reason, message) = if let Some(answer) = error.as_db_error() {
        match answer.code().code() {
            "08P01" => of_pooler(answer.message()),
            _ => of_code(answer.code()),
        }
    } else {
        let (reason, message) = match cause::<io::Error>(&error) {
            Some(cause) => of_io(cause),
            None if error.is_closed() => (Reason::Connect, BROKEN),
            None => (Reason::Protocol, NOT_POSTGRES),
        };
        (reason, message.to_owned())
    };
    Failure::new(reason, message).with_source(error)
}

/// An end of the connection that nobody announced.
pub(super) const BROKEN: &str = "the connection broke off";
/// What the text of a statement has to be.
pub(super) const NOT_ONE: &str = "expected exactly one statement";
const NOT_POSTGRES: &str = "the answer does not follow the PostgreSQL protocol";

/// The five characters of an SQLSTATE; anything else is not repeated.
fn text(code: &SqlState) -> &str {
    let valid = |text: &&str| text.len() == 5 && text.chars().all(|c| c.is_ascii_alphanumeric());
    Some(code.code()).filter(valid).unwrap_or("?????")
}

/// What an SQLSTATE says about the server.
fn of_code(code: &SqlState) -> (Reason, String) {
    let (reason, message) = match text(code) {
        "28P01" => (Reason::Auth, "the server refused the password"),
        "28000" => (Reason::Auth, "the server does not let this user in from here"),
        "42501" => (Reason::Auth, "the user lacks a right that is needed"),
        "53300" => (Reason::Pool, "the server has no free connection slot"),
        "57P01" | "57P02" => (Reason::Connect, "the server is shutting down"),
        "57P03" => (Reason::Connect, "the server is starting up, shutting down or recovering"),
        "3D000" => (Reason::Config, "the database does not exist"),
        "57014" => (Reason::Timeout, "the server cancelled the statement at its time limit"),
        "55P03" => (Reason::Timeout, "another transaction holds a lock that is needed"),
        text => match &text[..2] {
            "08" => (Reason::Connect, "the server or its pooler refused the connection"),
            "53" | "58" | "XX" => {
                return (Reason::Alarm, format!("the server has a fault of its own ({text})"));
            }
            _ => return (Reason::Protocol, format!("the server answered with SQLSTATE {text}")),
        },
    };
    (reason, message.to_owned())
}

/// What PgBouncer means: it gives one SQLSTATE to all that it refuses itself, so that only its
/// words, which are never translated, tell a wrong password from a full pool.
fn of_pooler(words: &str) -> (Reason, String) {
    let known = [
        ("authentication failed", Reason::Auth, "the pooler refused the password"),
        ("no such user", Reason::Auth, "the pooler does not know the user"),
        ("no such database", Reason::Config, "the pooler does not know the database"),
        ("does not exist", Reason::Config, "the database does not exist"),
        ("query_wait_timeout", Reason::Pool, "the pooler had no server connection to give"),
        ("no more connections", Reason::Pool, "the pooler has no free connection slot"),
        ("statement pooling", Reason::Config, "the pooler's mode `statement` has no transactions"),
    ];
    let (_, reason, message) = known.iter().find(|(part, ..)| words.contains(part)).unwrap_or(&(
        "",
        Reason::Connect,
        "the server or its pooler refused the connection",
    ));
    (*reason, (*message).to_owned())
}

/// What an SQLSTATE says about a statement that the configuration holds.
pub(super) fn of_configured(code: &SqlState) -> (Reason, String) {
    match text(code) {
        "25006" => (Reason::Config, "it writes, and only reading is allowed".to_owned()),
        "42501" => (Reason::Auth, "the user may not read what it names".to_owned()),
        text => match &text[..2] {
            "0A" | "42" => {
                (Reason::Config, format!("it is not valid SQL in this database (SQLSTATE {text})"))
            }
            "21" | "22" | "23" | "P0" => {
                (Reason::Assertion, format!("it failed with SQLSTATE {text}"))
            }
            _ => of_code(code),
        },
    }
}

/// Whether a statement failed because of rights, or of something that this server does not have.
pub(super) fn is_missing(code: &SqlState) -> bool {
    matches!(code.code(), "42501" | "42883" | "42P01" | "42703" | "0A000")
}

fn of_io(error: &io::Error) -> (Reason, &'static str) {
    match (tls_fault(error), error.kind()) {
        (Some(fault), _) => (Reason::Tls, fault),
        (None, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            (Reason::Protocol, NOT_POSTGRES)
        }
        (None, _) => (Reason::Connect, BROKEN),
    }
}

/// Why no socket could be opened.
fn unreachable(error: &io::Error) -> (Reason, &'static str) {
    match error.kind() {
        io::ErrorKind::TimedOut => (Reason::Timeout, "the server does not answer"),
        io::ErrorKind::ConnectionRefused => (Reason::Connect, "the server refuses connections"),
        io::ErrorKind::NotFound => (Reason::Connect, "there is no such Unix socket"),
        io::ErrorKind::PermissionDenied => (Reason::Connect, "we may not open the connection"),
        _ => (Reason::Connect, "the server cannot be reached"),
    }
}

/// What rustls found wrong, when the error is one of its.
fn tls_fault(error: &io::Error) -> Option<&'static str> {
    let fault = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match fault {
        rustls::Error::InvalidCertificate(fault) => match fault {
            // The second one: an authority was replaced by another one of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "no authority that we trust signed the certificate, see `tls.ca_file`"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name"
            }
            _ => "the certificate is not valid",
        },
        rustls::Error::AlertReceived(_) => "the server refused the TLS handshake",
        _ => "the TLS handshake failed",
    })
}

fn has_foreign_cause(error: &Error) -> bool {
    std::error::Error::source(error).is_some()
}

fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_the_server_has_its_reason() {
        for (code, reason) in [
            ("28P01", Reason::Auth),
            ("28000", Reason::Auth),
            ("42501", Reason::Auth),
            ("53300", Reason::Pool),
            ("57P01", Reason::Connect),
            ("57P03", Reason::Connect),
            ("08006", Reason::Connect),
            ("3D000", Reason::Config),
            ("57014", Reason::Timeout),
            ("55P03", Reason::Timeout),
            ("53100", Reason::Alarm),
            ("XX001", Reason::Alarm),
            ("40001", Reason::Protocol),
            ("é", Reason::Protocol),
        ] {
            assert_eq!(of_code(&SqlState::from_code(code)).0, reason, "{code}");
        }
    }

    #[test]
    fn a_statement_of_the_configuration_is_to_blame_for_more() {
        for (code, reason) in [
            ("42601", Reason::Config),
            ("42P01", Reason::Config),
            ("25006", Reason::Config),
            ("42501", Reason::Auth),
            ("22012", Reason::Assertion),
            ("P0001", Reason::Assertion),
            ("57014", Reason::Timeout),
            ("53200", Reason::Alarm),
        ] {
            assert_eq!(of_configured(&SqlState::from_code(code)).0, reason, "{code}");
        }
    }

    #[test]
    fn what_pgbouncer_refuses_is_told_apart_by_its_words() {
        for (words, reason) in [
            ("SASL authentication failed", Reason::Auth),
            ("password authentication failed", Reason::Auth),
            ("no such database: orders", Reason::Config),
            ("query_wait_timeout", Reason::Pool),
            ("no more connections allowed (max_client_conn)", Reason::Pool),
            ("pgbouncer is shutting down", Reason::Connect),
        ] {
            assert_eq!(of_pooler(words).0, reason, "{words}");
        }
    }
}
