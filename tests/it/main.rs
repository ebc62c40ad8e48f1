//! Everything that is tested from outside, in one program: linking it once is what takes time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
#![allow(missing_docs, unreachable_pub)] // nobody imports a test program

mod app; // the real program, started for one test
mod architecture; // which room may import which
mod catalogue; // the metrics as a whole
mod certificates; // certificates of any kind, and TLS servers that show them
mod command_line; // flags, exit codes, signals
mod configuration; // every mistake in a file and its message
mod embedding; // the crate in a program of its own
mod endpoints; // every endpoint: codes, headers, documents
mod exposition; // both formats, as Prometheus and others read them
mod kind_disk; // file systems of this machine and of one that is made of files
mod kind_http; // asking URLs: answers, redirects, certificates, timeouts
mod kind_postgres; // PostgreSQL servers: primary, replica, behind PgBouncer
mod kind_rabbitmq; // RabbitMQ: queues, a round trip, alarms
mod kind_redis; // Redis servers: roles, memory, a round trip
mod kind_system; // CPU, memory and load of this machine and of one that is made of files
mod probing; // one check of a configuration, probed without an engine
mod servers; // private PostgreSQL, Redis, RabbitMQ and PgBouncer servers
mod shipped_files; // examples and documents stay true
mod targets; // servers that behave as a test needs it: scripted, silent, broken
