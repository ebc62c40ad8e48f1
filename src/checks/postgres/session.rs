//! Asking the server: one statement, one read-only transaction, one round trip.

use std::{pin::pin, time::Duration};

use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use tokio_postgres::{Error, SimpleQueryMessage, SimpleQueryRow, error::SqlState};

use super::failure;
use crate::{
    check::ProbeContext,
    outcome::{Failure, Reason},
};

/// A connection on loan from the pool.
///
/// It goes back when the server has answered everything that was asked, and is closed otherwise:
/// whoever got it next would read the answers meant for us.
pub(super) struct Session<'a> {
    connection: Option<Object>,
    answered: bool,
    context: &'a ProbeContext,
}

/// What a statement returned.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The first rows, as many as were wanted.
    pub(super) rows: Vec<SimpleQueryRow>,
    /// Whether there were more.
    pub(super) more: bool,
}

/// Why a statement brought no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The server refused it; the session goes on.
    Refused(SqlState, Error),
    /// The text held none or several; the session goes on.
    NotOne,
    /// The session is at its end.
    Lost(Failure),
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Refused(_, error) => failure::in_session(error),
            Unanswered::NotOne => Self::new(Reason::Config, failure::NOT_ONE),
            Unanswered::Lost(failure) => failure,
        }
    }
}

impl<'a> Session<'a> {
    /// A session on a connection that has nothing left to answer.
    pub(super) fn new(connection: Object, context: &'a ProbeContext) -> Self {
        Self { connection: Some(connection), answered: true, context }
    }

    /// Has the server run a statement, keeping up to `limit` rows.
    ///
    /// Everything goes in one message of the simple protocol, which leaves nothing behind in the
    /// session, so that it may be a different one of PgBouncer's each time.
    pub(super) async fn ask(&mut self, sql: &str, limit: usize) -> Result<Answer, Unanswered> {
        let Some(connection) = &self.connection else {
            return Err(Unanswered::Lost(Failure::new(Reason::Connect, failure::BROKEN)));
        };
        let (statement, lock) = limits(self.context.remaining());
        // The line break ends a comment at the end of the statement.
        let message = format!(
            "BEGIN READ ONLY; SELECT set_config('statement_timeout', '{statement}', true), \
             set_config('lock_timeout', '{lock}', true); {sql}\n; COMMIT"
        );
        self.answered = false;
        let unanswered = match exchange(connection, &message, limit).await {
            Ok((answer, STATEMENTS)) => {
                self.answered = true;
                return Ok(answer);
            }
            Ok(_) => Unanswered::NotOne,
            Err(error) => match error.code().cloned() {
                Some(code) => Unanswered::Refused(code, error),
                None => Unanswered::Lost(failure::in_session(error)),
            },
        };
        // A statement that was refused left its transaction open.
        if matches!(unanswered, Unanswered::Lost(_))
            || connection.batch_execute("ROLLBACK").await.is_err()
        {
            self.close();
            return Err(Unanswered::Lost(unanswered.into()));
        }
        self.answered = true;
        Err(unanswered)
    }

    /// Takes the connection from the pool for good.
    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.close();
        }
    }
}

/// What came back, and of how many statements.
async fn exchange(
    connection: &Object,
    message: &str,
    limit: usize,
) -> Result<(Answer, usize), Error> {
    let mut stream = pin!(connection.simple_query_raw(message).await?);
    let (mut answer, mut completed) = (Answer::default(), 0);
    while let Some(message) = stream.try_next().await? {
        match message {
            SimpleQueryMessage::Row(_) if completed < BEFORE => {}
            SimpleQueryMessage::Row(row) if answer.rows.len() < limit => answer.rows.push(row),
            SimpleQueryMessage::Row(_) => answer.more = true,
            SimpleQueryMessage::CommandComplete(_) => completed += 1,
            _ => {}
        }
    }
    Ok((answer, completed))
}

/// `BEGIN` and the setting of the limits: with `SET`, which cannot have a placeholder, every other
/// limit would be another statement in `pg_stat_statements`.
const BEFORE: usize = 2;

/// Those, the statement itself and `COMMIT`.
const STATEMENTS: usize = BEFORE + 2;

/// How many milliseconds the server may work on a statement and wait for a lock, so that it has
/// given up before the run ends, and says that it was a lock if it was one. Zero would mean ever.
fn limits(remaining: Duration) -> (u128, u128) {
    let margin = (remaining / 10).clamp(Duration::from_millis(20), Duration::from_millis(250));
    let statement = remaining.saturating_sub(margin).as_millis().max(2);
    (statement, (statement * 9 / 10).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_gives_up_before_the_run_ends_and_on_a_lock_before_that() {
        for (remaining, expected) in [(5_000, (4_750, 4_275)), (100, (80, 72)), (0, (2, 1))] {
            assert_eq!(limits(Duration::from_millis(remaining)), expected, "{remaining}");
        }
    }
}
