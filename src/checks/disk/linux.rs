//! The file systems of a Linux machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{StatVfs, statvfs};

use super::usage::{FileSystems, Files, Usage};
use crate::mountinfo::{self, Mount};

/// The machine whose root is mounted at a folder.
pub(super) struct Machine {
    root: PathBuf,
}

impl Machine {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl FileSystems for Machine {
    fn mounts(&self) -> io::Result<Vec<Mount>> {
        // Below another root our own list would be the one of our container.
        let process = if self.root == Path::new("/") { "self" } else { "1" };
        let path = self.root.join("proc").join(process).join("mountinfo");
        // The kernel does not promise UTF-8.
        Ok(mountinfo::parse(&String::from_utf8_lossy(&fs::read(path)?)))
    }

    fn usage(&self, mount: &Mount) -> io::Result<Usage> {
        let below = mount.mount_point.trim_start_matches('/');
        Ok(usage(&statvfs(self.root.join(below))?))
    }
}

fn usage(stat: &StatVfs) -> Usage {
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let files = Files { total: stat.f_files, free: stat.f_ffree };
    Usage {
        size: bytes(stat.f_blocks),
        used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
        available: bytes(stat.f_bavail),
        files: (files.total > 0).then_some(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_root_with_a_size() {
        let machine = Machine::new(Path::new("/"));
        let mounts = machine.mounts().unwrap();
        let root = mounts.iter().find(|mount| mount.mount_point == "/").unwrap();
        let usage = machine.usage(root).unwrap();
        assert!(usage.size > 0 && usage.used <= usage.size, "{usage:?}");
    }

    #[test]
    fn another_root_has_the_mounts_of_its_first_process() {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("proc/1");
        fs::create_dir_all(&process).unwrap();
        fs::write(process.join("mountinfo"), b"9 1 8:0 / /d\xff rw - ext4 /dev/sda rw\n").unwrap();
        let machine = Machine::new(root.path());
        let mounts = machine.mounts().unwrap();
        assert_eq!(mounts[0].mount_point, "/d\u{fffd}");
        assert_eq!(machine.usage(&mounts[0]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
