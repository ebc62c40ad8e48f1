//! What it means that a server answers with an error, or not at all.

use std::{error::Error as _, io};

use deadpool_redis::redis::{ErrorKind, RedisError};

use crate::{
    outcome::{Failure, Reason, Verdict},
    wire::stream::explain,
};

/// An answer that is an error.
pub(super) enum Refusal {
    /// The server says itself that it is not well.
    Unwell(Verdict),
    /// We lack the right to this command, but perhaps not to others.
    NotPermitted(Failure),
    /// The server does not talk to us at all, or is of a kind that is not supported.
    Locked(Failure),
    /// Something else.
    Other(Failure),
}

/// Judges the error that a command was answered with.
pub(super) fn judge(command: &str, error: RedisError) -> Refusal {
    let unwell = |reason, message: &str| Refusal::Unwell(Verdict::unhealthy(reason, message));
    let locked = |reason, message: &str, error: RedisError| {
        Refusal::Locked(Failure::new(reason, message).with_source(error))
    };
    match error.code().unwrap_or_default() {
        "LOADING" => unwell(Reason::Assertion, LOADING),
        "MASTERDOWN" => unwell(Reason::Assertion, LINK_DOWN),
        "BUSY" => unwell(Reason::Assertion, "the server is held up by a script"),
        "READONLY" => unwell(Reason::Assertion, "the server refuses writes: it is read-only"),
        "OOM" => unwell(Reason::Alarm, "the server refuses writes: its memory limit is reached"),
        "MISCONF" => {
            unwell(Reason::Alarm, "the server refuses writes: it cannot save its data to disk")
        }
        "NOREPLICAS" => {
            unwell(Reason::Alarm, "the server refuses writes: too few replicas follow it")
        }
        "NOAUTH" => locked(Reason::Auth, "the server asks for a password", error),
        "WRONGPASS" => locked(Reason::Auth, WRONG_PASSWORD, error),
        "DENIED" => {
            let message = "the server is in protected mode and takes no remote connections";
            locked(Reason::Auth, message, error)
        }
        "MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT" | "TRYAGAIN" => {
            locked(Reason::Config, CLUSTER, error)
        }
        "ERR" if says(&error, "max number of clients") => {
            locked(Reason::Pool, "the server has reached its limit of clients", error)
        }
        "NOPERM" => Refusal::NotPermitted(
            Failure::new(Reason::Auth, format!("the user has no right to {command}"))
                .with_source(error),
        ),
        _ => Refusal::Other(
            Failure::new(Reason::Protocol, format!("{command} was answered with an error"))
                .with_source(error),
        ),
    }
}

pub(super) const LOADING: &str = "the server is still loading its data";
pub(super) const LINK_DOWN: &str = "the link of the replica to its master is down";
pub(super) const SYNCHRONISING: &str = "the replica is still copying the data of its master";
pub(super) const CLUSTER: &str =
    "the server is part of a cluster, which is not supported: name a single server";
pub(super) const SENTINEL: &str =
    "the server is a sentinel, which is not supported: name the server that it watches";
const WRONG_PASSWORD: &str = "the server refused the user or the password";

/// The failure of a login.
pub(super) fn of_login(error: RedisError) -> Failure {
    match judge("AUTH", error) {
        Refusal::Locked(failure) => failure,
        Refusal::NotPermitted(failure) | Refusal::Other(failure) => {
            Failure { reason: Reason::Auth, message: WRONG_PASSWORD.to_owned(), ..failure }
        }
        Refusal::Unwell(_) => Failure::new(Reason::Protocol, "the server took no login"),
    }
}

/// The failure of selecting the database.
pub(super) fn of_database(error: RedisError) -> Failure {
    let out_of_range = says(&error, "out of range");
    match judge("SELECT", error) {
        Refusal::Other(failure) if out_of_range => Failure {
            reason: Reason::Config,
            message: "the server has no database of this number".to_owned(),
            ..failure
        },
        Refusal::Locked(failure) | Refusal::NotPermitted(failure) | Refusal::Other(failure) => {
            failure
        }
        Refusal::Unwell(_) => Failure::new(Reason::Protocol, "the server selects no database"),
    }
}

/// The failure of naming ourselves, which matters only when the server would not talk at all.
pub(super) fn of_greeting(error: RedisError) -> Option<Failure> {
    match judge("CLIENT SETNAME", error) {
        Refusal::Locked(failure) => Some(failure),
        _ => None,
    }
}

/// The failure of an exchange that did not come to its end.
pub(super) fn broken(error: RedisError) -> Failure {
    let from_io = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    match (from_io.map(explain), error.kind()) {
        (Some((reason, message)), _) => Failure::new(reason, message).with_source(error),
        (None, ErrorKind::Io) => {
            Failure::new(Reason::Connect, "the connection broke").with_source(error)
        }
        _ => stranger().with_source(error),
    }
}

/// Something answers that is not Redis.
pub(super) fn stranger() -> Failure {
    Failure::new(Reason::Protocol, "the server does not speak as Redis does")
}

/// The driver has lost count.
pub(super) fn miscounted() -> Failure {
    Failure::new(Reason::Protocol, "the server gave another number of answers than expected")
}

fn says(error: &RedisError, text: &str) -> bool {
    error.detail().is_some_and(|detail| detail.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use deadpool_redis::redis::{Value, parse_redis_value};

    fn answer(line: &str) -> RedisError {
        match parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap() {
            Value::ServerError(error) => error.into(),
            other => panic!("{other:?}"),
        }
    }

    fn reason(line: &str) -> Reason {
        match judge("SET", answer(line)) {
            Refusal::Unwell(Verdict::Unhealthy(finding)) => finding.reason,
            Refusal::Unwell(verdict) => panic!("{verdict:?}"),
            Refusal::NotPermitted(failure) | Refusal::Locked(failure) | Refusal::Other(failure) => {
                failure.reason
            }
        }
    }

    #[test]
    fn each_error_of_the_server_has_its_reason() {
        for (line, expected) in [
            ("LOADING Redis is loading the dataset in memory", Reason::Assertion),
            ("MASTERDOWN Link with MASTER is down", Reason::Assertion),
            ("BUSY Redis is busy running a script.", Reason::Assertion),
            ("READONLY You can't write against a read only replica.", Reason::Assertion),
            ("OOM command not allowed when used memory > 'maxmemory'.", Reason::Alarm),
            ("MISCONF Redis is configured to save RDB snapshots, but", Reason::Alarm),
            ("NOREPLICAS Not enough good replicas to write.", Reason::Alarm),
            ("NOAUTH Authentication required.", Reason::Auth),
            ("WRONGPASS invalid username-password pair", Reason::Auth),
            ("NOPERM User x has no permissions to run the 'set' command", Reason::Auth),
            ("DENIED Redis is running in protected mode", Reason::Auth),
            ("MOVED 3999 127.0.0.1:6381", Reason::Config),
            ("CLUSTERDOWN Hash slot not served", Reason::Config),
            ("ERR max number of clients reached", Reason::Pool),
            ("ERR unknown command", Reason::Protocol),
            ("SOMETHING new", Reason::Protocol),
        ] {
            assert_eq!(reason(line), expected, "{line}");
        }
    }

    #[test]
    fn a_full_server_is_no_wrong_password() {
        let full = of_login(answer("ERR max number of clients reached"));
        assert_eq!(full.reason, Reason::Pool);
        for line in ["WRONGPASS invalid", "ERR invalid password", "ERR AUTH <password> called"] {
            assert_eq!(of_login(answer(line)).reason, Reason::Auth, "{line}");
        }
    }

    #[test]
    fn a_database_that_does_not_exist_is_a_matter_of_configuration() {
        assert_eq!(of_database(answer("ERR DB index is out of range")).reason, Reason::Config);
        assert_eq!(of_database(answer("NOPERM no")).reason, Reason::Auth);
    }

    #[test]
    fn the_text_of_the_server_is_not_published() {
        let Refusal::NotPermitted(failure) = judge("INFO", answer("NOPERM User secret has no"))
        else {
            panic!("not a refusal for want of rights");
        };
        assert_eq!(failure.message, "the user has no right to INFO");
    }
}
