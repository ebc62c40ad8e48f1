//! Everything that is tested from outside, in one program: linking it once is what takes time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, missing_docs)]
#![allow(dead_code, unused_imports, unreachable_pub)]

mod app; // the real program, started for one test
mod endpoints; // every endpoint: codes, headers, documents
mod kind_disk; // file systems of this machine and of one that is made of files
mod kind_system; // CPU, memory and load of this machine and of one that is made of files
mod servers; // private PostgreSQL, Redis, RabbitMQ and PgBouncer servers
