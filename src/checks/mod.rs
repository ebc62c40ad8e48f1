//! The kinds of checks, one file or folder each, and the table of them.

mod disk;
mod http;
mod postgres;
mod rabbitmq;
mod redis;
mod runtime;
mod system;

use crate::check::Kind;

/// Every kind that a configuration can name, in the order of the alphabet.
pub const KINDS: &[Kind] = &[
    disk::KIND,
    http::KIND,
    postgres::KIND,
    rabbitmq::KIND,
    redis::KIND,
    runtime::KIND,
    system::KIND,
];

/// The kind of checks that a program registers in its own code.
pub const CODE: Kind = Kind {
    name: "code",
    remote: true,
    reasons: crate::outcome::Reason::ALL,
    phases: crate::outcome::Phase::ALL,
    readings: &[],
    configuration: None,
};
