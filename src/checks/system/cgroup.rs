//! The memory limit of the control groups (version 2) that this process is in.

use std::path::{Path, PathBuf};

use super::sample::Cgroup;
use crate::mountinfo;

/// The tightest limit on the way from our group to the top of what we can see; `None` when
/// nothing below `machine` bytes limits us.
///
/// `cgroup` and `mountinfo` are the texts of those files of `/proc/self`, `read` gives the text
/// of a file.
pub(super) fn memory(
    cgroup: &str,
    mountinfo: &str,
    machine: u64,
    mut read: impl FnMut(&Path) -> Option<String>,
) -> Option<Cgroup> {
    let (top, group) = place(cgroup, mountinfo)?;
    let mut tightest: Option<Cgroup> = None;
    let mut is_container = false;
    for folder in group.ancestors().take_while(|folder| folder.starts_with(&top)) {
        let mut number = |file: &str| read(&folder.join(file))?.trim().parse().ok();
        // The text `max` of a group without a limit is no number.
        let limit: Option<u64> = number("memory.max").filter(|limit| *limit < machine);
        let Some((limit, usage)) = limit.zip(number("memory.current")) else { continue };
        let stat = read(&folder.join("memory.stat")).unwrap_or_default();
        let working_set = usage.saturating_sub(inactive_file(&stat));
        // The top group of a machine cannot have a limit: this is the top of a container.
        is_container |= folder == top;
        let found = Cgroup { limit, usage, working_set, is_container: false };
        if tightest.is_none_or(|known| found.used_ratio() > known.used_ratio()) {
            tightest = Some(found);
        }
    }
    tightest.map(|cgroup| Cgroup { is_container, ..cgroup })
}

/// The folder of the topmost group that we can see, and of our own.
fn place(cgroup: &str, mountinfo: &str) -> Option<(PathBuf, PathBuf)> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    mountinfo::parse(mountinfo).into_iter().find_map(|mount| {
        let below = Path::new(path).strip_prefix(&mount.root).ok()?;
        let top = PathBuf::from(mount.mount_point);
        (mount.fstype == "cgroup2").then(|| (top.clone(), top.join(below)))
    })
}

fn inactive_file(stat: &str) -> u64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: u64 = 1 << 40;
    const MOUNTED: &str = "31 23 0:28 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate";

    /// Files by their path below `/sys/fs/cgroup`.
    fn found(cgroup: &str, mountinfo: &str, files: &[(&str, &str)]) -> Option<Cgroup> {
        memory(cgroup, mountinfo, MACHINE, |path| {
            let path = path.strip_prefix("/sys/fs/cgroup").unwrap();
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn in_a_container_the_top_group_has_the_limit() {
        let files = [
            ("memory.max", "1000\n"),
            ("memory.current", "900\n"),
            ("memory.stat", "anon 5\ninactive_file 400\nactive_file 7\n"),
        ];
        let expected = Cgroup { limit: 1_000, usage: 900, working_set: 500, is_container: true };
        assert_eq!(found("0::/\n", MOUNTED, &files), Some(expected));
        let bound = MOUNTED.replace("0:28 /", "0:28 /docker/a");
        assert_eq!(found("0::/docker/a\n", &bound, &files), Some(expected));
    }

    #[test]
    fn the_tightest_limit_on_the_way_up_counts() {
        let files = [
            ("system.slice/memory.max", "1000"),
            ("system.slice/memory.current", "950"),
            ("system.slice/a.service/memory.max", "500"),
            ("system.slice/a.service/memory.current", "100"),
        ];
        let expected = Cgroup { limit: 1_000, usage: 950, working_set: 950, is_container: false };
        assert_eq!(found("0::/system.slice/a.service\n", MOUNTED, &files), Some(expected));
    }

    #[test]
    fn without_a_limit_that_matters_there_is_none() {
        let no_limit = [("a/memory.max", "max\n"), ("a/memory.current", "1")];
        assert_eq!(found("0::/a", MOUNTED, &no_limit), None);
        let beyond = [("a/memory.max", "1099511627776"), ("a/memory.current", "1")];
        assert_eq!(found("0::/a", MOUNTED, &beyond), None);
        assert_eq!(found("0::/\n", MOUNTED, &[]), None);
        assert_eq!(found("4:memory:/a\n", MOUNTED, &no_limit), None);
        assert_eq!(found("0::/../b\n", &MOUNTED.replace("0:28 /", "0:28 /a"), &no_limit), None);
    }
}
