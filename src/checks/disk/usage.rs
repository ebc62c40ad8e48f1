//! How full a file system is, and who can tell.

use std::io;

use crate::{mountinfo::Mount, outcome::lossy};

/// How much of a file system is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Its size in bytes.
    pub(super) size: u64,
    /// The bytes in use.
    pub(super) used: u64,
    /// The bytes that are left to users without privileges.
    pub(super) available: u64,
    /// `None` for a file system that does not count its files.
    pub(super) files: Option<Files>,
}

/// How many files a file system holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Files {
    /// How many there can be.
    pub(super) total: u64,
    /// How many more there can be.
    pub(super) free: u64,
}

impl Usage {
    /// The share in use as `df` shows it: blocks that are reserved count neither way.
    pub(super) fn used_ratio(&self) -> Option<f64> {
        ratio(self.used, self.used.saturating_add(self.available))
    }
}

impl Files {
    /// The share in use.
    pub(super) fn used_ratio(&self) -> Option<f64> {
        ratio(self.total.saturating_sub(self.free), self.total)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| lossy(part) / lossy(whole))
}

/// What there is to watch, and the question that may take for ever.
pub(super) trait FileSystems: Send + Sync + 'static {
    /// Every mount of the machine.
    fn mounts(&self) -> io::Result<Vec<Mount>>;

    /// How full the file system is; a file system on a machine that is gone does not answer.
    fn usage(&self, mount: &Mount) -> io::Result<Usage>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_df() {
        let files = Files { total: 1_000, free: 900 };
        let usage = Usage { size: 250, used: 20, available: 60, files: Some(files) };
        assert_eq!(usage.used_ratio(), Some(0.25));
        assert_eq!(files.used_ratio(), Some(0.1));
    }

    #[test]
    fn what_has_no_size_has_no_share() {
        let usage = Usage { size: 0, used: 0, available: 0, files: None };
        assert_eq!(usage.used_ratio(), None);
    }
}
