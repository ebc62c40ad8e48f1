//! What a server says about itself in its answer to `INFO`.

use std::collections::HashMap;

use crate::{
    outcome::{Failure, Reason, lossy},
    units::Ratio,
};

/// The fields of an answer to `INFO`. What is not understood is as if it had not been said.
pub(super) struct Info<'a>(HashMap<&'a str, &'a str>);

impl<'a> Info<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// `protocol` when it is nothing like what Redis says.
    pub(super) fn parse(answer: &'a str) -> Result<Self, Failure> {
        let fields: HashMap<_, _> =
            answer.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        if fields.contains_key("redis_version") || fields.contains_key("role") {
            Ok(Self(fields))
        } else {
            Err(Failure::new(Reason::Protocol, "the answer to INFO names no version and no role"))
        }
    }

    /// A field as it was said.
    pub(super) fn text(&self, field: &str) -> Option<&'a str> {
        self.0.get(field).copied()
    }

    /// A field that is a whole number and not negative.
    pub(super) fn number(&self, field: &str) -> Option<f64> {
        self.text(field)?.parse().ok().map(lossy)
    }

    /// The role in today's words.
    pub(super) fn role(&self) -> Option<&'a str> {
        self.text("role").map(|role| if role == "slave" { "replica" } else { role })
    }

    /// `standalone`, `cluster` or `sentinel`.
    pub(super) fn mode(&self) -> Option<&'a str> {
        self.text("redis_mode").or_else(|| self.text("server_mode"))
    }

    /// What becomes of keys when memory is full.
    pub(super) fn policy(&self) -> Option<&'a str> {
        self.text("maxmemory_policy")
    }

    /// Whether the data is still being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.text("loading") == Some("1")
    }

    /// Whether a replica's link to its master is up; `None` on a master.
    pub(super) fn link_is_up(&self) -> Option<bool> {
        self.text("master_link_status").map(|status| status == "up")
    }

    /// Whether a replica has yet to receive the data of its master.
    pub(super) fn is_synchronising(&self) -> bool {
        self.text("master_sync_in_progress") == Some("1")
    }

    /// What failed when the server last wrote its data to disk.
    pub(super) fn failed_persistence(&self) -> Option<&'static str> {
        [
            ("rdb_last_bgsave_status", "the last background save failed"),
            ("aof_last_write_status", "the last write to the append-only file failed"),
            ("aof_last_bgrewrite_status", "the last rewrite of the append-only file failed"),
        ]
        .into_iter()
        .find_map(|(field, message)| {
            self.text(field).filter(|text| *text == "err").map(|_| message)
        })
    }

    /// The memory used as a share of its limit; `None` without a limit.
    pub(super) fn memory_ratio(&self) -> Option<Ratio> {
        share(self.number("used_memory")?, self.number("maxmemory")?)
    }

    /// The clients connected as a share of their limit.
    pub(super) fn clients_ratio(&self) -> Option<Ratio> {
        share(self.number("connected_clients")?, self.number("maxclients")?)
    }
}

fn share(part: f64, whole: f64) -> Option<Ratio> {
    (whole > 0.0).then(|| Ratio(part / whole))
}

#[cfg(test)]
mod tests {
    use super::{super::readings::record, *};
    use crate::check::ProbeContext;
    use proptest::prelude::*;
    use tokio_util::sync::CancellationToken;

    const REPLICA: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\
        # Clients\r\nconnected_clients:45\r\nmaxclients:50\r\n\
        # Memory\r\nused_memory:75\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n\
        # Persistence\r\nloading:0\r\nrdb_last_bgsave_status:err\r\n\
        # Replication\r\nrole:slave\r\nmaster_host:::1\r\nmaster_link_status:up\r\n";

    #[test]
    fn an_answer_is_read() {
        let info = Info::parse(REPLICA).unwrap();
        assert_eq!((info.role(), info.mode()), (Some("replica"), Some("standalone")));
        assert_eq!(info.memory_ratio(), Some(Ratio(0.75)));
        assert_eq!(info.clients_ratio(), Some(Ratio(0.9)));
        assert_eq!(info.link_is_up(), Some(true));
        assert_eq!(info.failed_persistence(), Some("the last background save failed"));
        assert!(!info.is_loading());
    }

    #[test]
    fn what_is_no_number_is_as_if_it_had_not_been_said() {
        for maxmemory in ["0", "-5", "nan", "1e3", "", "99999999999999999999999"] {
            let answer = format!("role:master\nused_memory:75\nmaxmemory:{maxmemory}\n");
            assert_eq!(Info::parse(&answer).unwrap().memory_ratio(), None, "{maxmemory}");
        }
    }

    #[test]
    fn an_answer_without_version_and_role_is_none_of_redis() {
        for answer in ["", "hello", "a:b\r\n", "# Server\r\n"] {
            assert_eq!(Info::parse(answer).map(|_| ()).unwrap_err().reason, Reason::Protocol);
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(
            cut in 0..REPLICA.len(), strange in "\\PC{0,80}", at in 0..REPLICA.len(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let second = std::time::Duration::from_secs(1);
            let (never, threads) = (CancellationToken::new(), runtime.handle().clone());
            let context = ProbeContext::new(second, never, threads);
            let answer = format!("{}{strange}{}", &REPLICA[..cut], &REPLICA[at..]);
            if let Ok(info) = Info::parse(&answer) {
                record(&info, &context);
            }
        }
    }
}
