//! What it means that a broker refuses something, or does not answer.

use lapin::{Error, ErrorKind};

use crate::{
    outcome::{Failure, Reason, Verdict},
    wire::stream::explain,
};

// Codes of AMQP 0-9-1.
const CONNECTION_FORCED: u16 = 320;
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const RESOURCE_ERROR: u16 = 506;
const NOT_ALLOWED: u16 = 530;
const INTERNAL_ERROR: u16 = 541;

/// The failure of logging in and entering the virtual host.
pub(super) fn of_login(error: Error) -> Failure {
    let (reason, message) = match error.kind() {
        ErrorKind::ProtocolError(refusal) => match refusal.get_id() {
            ACCESS_REFUSED => (Reason::Auth, "the broker refused the user or the password"),
            NOT_ALLOWED if refusal.get_message().as_str().ends_with("not found") => {
                (Reason::Config, "the virtual host does not exist")
            }
            NOT_ALLOWED if refusal.get_message().as_str().ends_with("is reached") => {
                (Reason::Pool, "the broker has reached a limit of connections")
            }
            NOT_ALLOWED => (Reason::Auth, "the user has no access to the virtual host"),
            INTERNAL_ERROR if refusal.get_message().as_str().ends_with("is down") => {
                (Reason::Assertion, "the virtual host is down")
            }
            _ => return of_operation(error),
        },
        ErrorKind::AuthProviderError(_) => (Reason::Auth, "the broker asks for another login"),
        _ => return of_operation(error),
    };
    Failure::new(reason, message).with_source(error)
}

/// The failure of anything else.
pub(super) fn of_operation(error: Error) -> Failure {
    let (reason, message) = match error.kind() {
        ErrorKind::IOError(io) => {
            let (reason, message) = explain(io);
            return Failure::new(reason, message).with_source(error);
        }
        ErrorKind::ProtocolError(refusal) => match refusal.get_id() {
            CONNECTION_FORCED => (Reason::Connect, "the broker closed the connection by order"),
            ACCESS_REFUSED => (Reason::Auth, "the user has no right to this"),
            NOT_ALLOWED if refusal.get_message().as_str().contains("maximum allowed") => {
                (Reason::Pool, "the broker has reached a limit of channels")
            }
            RESOURCE_ERROR => (Reason::Alarm, "the broker lacks the resources for this"),
            _ => (Reason::Protocol, "the broker refused the request"),
        },
        ErrorKind::InvalidProtocolVersion(_) => {
            (Reason::Protocol, "the broker speaks another version of AMQP than 0-9-1")
        }
        ErrorKind::ParsingError(_) | ErrorKind::SerialisationError(_) => {
            (Reason::Protocol, "the server does not speak AMQP")
        }
        ErrorKind::MissingHeartbeatError => {
            (Reason::Connect, "the broker went silent on an open connection")
        }
        ErrorKind::ChannelsLimitReached => {
            (Reason::Pool, "the broker allows no more channels on the connection")
        }
        ErrorKind::InvalidConnectionState(_)
        | ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidChannel(_) => (Reason::Connect, "the connection broke"),
        ErrorKind::RuntimeShutdownError(_) => (Reason::Cancelled, "the engine has stopped"),
        _ => (Reason::Internal, "the client of the broker failed"),
    };
    Failure::new(reason, message).with_source(error)
}

/// What it means that a queue cannot be looked at: a verdict about the queue, or no verdict.
pub(super) fn of_queue(name: &str, error: Error) -> Result<Verdict, Failure> {
    let ErrorKind::ProtocolError(refusal) = error.kind() else { return Err(of_operation(error)) };
    // The text repeats the name, which may be any.
    let text = refusal.get_message().as_str().replace(name, "");
    match refusal.get_id() {
        // So a broker calls a queue whose node cannot be reached, too.
        NOT_FOUND if text.contains("inaccessible") || text.contains("timeout") => {
            let message = format!("the queue `{name}` is not available: its node is down");
            Ok(Verdict::unhealthy(Reason::Assertion, message))
        }
        NOT_FOUND => {
            let message = format!("the queue `{name}` does not exist");
            Ok(Verdict::unhealthy(Reason::Assertion, message))
        }
        RESOURCE_LOCKED => {
            let message = format!("the queue `{name}` belongs to another connection alone");
            Err(Failure::new(Reason::Config, message).with_source(error))
        }
        ACCESS_REFUSED => {
            let message = format!("the user has no right to look at the queue `{name}`");
            Err(Failure::new(Reason::Auth, message).with_source(error))
        }
        _ => Err(of_operation(error)),
    }
}

/// The failure of a round trip.
pub(super) fn of_round_trip(error: Error) -> Failure {
    let failure = of_operation(error);
    if failure.reason == Reason::Auth {
        let message = "the round trip needs the rights to configure and read `amq.gen-.*` and to \
                       write `amq.default`, or `round_trip: false`";
        return Failure { message: message.to_owned(), ..failure };
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};

    fn refusal(kind: impl Into<AMQPErrorKind>, text: &str) -> Error {
        ErrorKind::ProtocolError(AMQPError::new(kind.into(), text.into())).into()
    }

    #[test]
    fn a_login_is_refused_for_different_reasons() {
        let not_allowed = |text| of_login(refusal(AMQPHardError::NOTALLOWED, text)).reason;
        assert_eq!(not_allowed("NOT_ALLOWED - vhost nope not found"), Reason::Config);
        assert_eq!(
            not_allowed("NOT_ALLOWED - access to vhost 'limit is reached' refused for user 'u'"),
            Reason::Auth
        );
        assert_eq!(
            not_allowed(
                "NOT_ALLOWED - access to vhost 'v' refused for user 'u': connection limit (9) is \
                 reached"
            ),
            Reason::Pool
        );
        let down = "INTERNAL_ERROR - access to vhost 'v' refused for user 'u': vhost 'v' is down";
        let down = of_login(refusal(AMQPHardError::INTERNALERROR, down));
        assert_eq!(down.message, "the virtual host is down");
        let refused = of_login(refusal(AMQPSoftError::ACCESSREFUSED, "ACCESS_REFUSED - Login"));
        assert_eq!(refused.reason, Reason::Auth);
        assert_eq!(refused.message, "the broker refused the user or the password");
    }

    #[test]
    fn a_queue_that_is_not_there_is_a_verdict_and_one_that_is_hidden_is_not() {
        let missing = "NOT_FOUND - no queue 'orders' in vhost 'v'";
        let named = refusal(AMQPSoftError::NOTFOUND, "NOT_FOUND - no queue 'timeouts' in vhost");
        let verdict = of_queue("timeouts", named).unwrap();
        let expected = "the queue `timeouts` does not exist";
        assert_eq!(verdict, Verdict::unhealthy(Reason::Assertion, expected));
        let node_down = "NOT_FOUND - home node 'rabbit@b' of durable queue 'orders' in vhost 'v' \
                         is down or inaccessible";
        for (text, expected) in [
            (missing, "the queue `orders` does not exist"),
            (node_down, "the queue `orders` is not available: its node is down"),
        ] {
            let verdict = of_queue("orders", refusal(AMQPSoftError::NOTFOUND, text)).unwrap();
            assert_eq!(verdict, Verdict::unhealthy(Reason::Assertion, expected));
        }
        let refused = refusal(AMQPSoftError::ACCESSREFUSED, "ACCESS_REFUSED - access to queue");
        assert_eq!(of_queue("orders", refused).unwrap_err().reason, Reason::Auth);
        let locked = refusal(AMQPSoftError::RESOURCELOCKED, "RESOURCE_LOCKED - cannot obtain");
        assert_eq!(of_queue("orders", locked).unwrap_err().reason, Reason::Config);
    }

    #[test]
    fn a_broker_that_is_told_to_close_a_connection_is_a_connection_lost() {
        let forced = refusal(AMQPHardError::CONNECTIONFORCED, "CONNECTION_FORCED - shutdown");
        assert_eq!(of_operation(forced).reason, Reason::Connect);
    }

    #[test]
    fn the_text_of_the_broker_is_not_published() {
        let refused = refusal(AMQPSoftError::ACCESSREFUSED, "access refused for user 'secret'");
        assert!(!of_round_trip(refused).message.contains("secret"));
    }
}
