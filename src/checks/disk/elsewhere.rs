//! The file systems of a machine that is not a Linux one; file counts are not to be had there.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use sysinfo::{DiskRefreshKind, Disks};

use super::usage::{FileSystems, Usage};
use crate::mountinfo::Mount;

/// This machine, which answers for all its file systems at once.
#[derive(Default)]
pub(super) struct Machine {
    usages: Mutex<HashMap<String, Usage>>,
}

impl Machine {
    pub(super) fn new(_root: &Path) -> Self {
        Self::default()
    }
}

impl FileSystems for Machine {
    fn mounts(&self) -> io::Result<Vec<Mount>> {
        let refreshed = DiskRefreshKind::nothing().with_storage();
        let disks =
            Disks::new_with_refreshed_list_specifics(refreshed).map_err(io::Error::other)?;
        let mut usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        usages.clear();
        let mounts = disks.iter().map(|disk| {
            let mount_point = disk.mount_point().to_string_lossy().into_owned();
            let (size, available) = (disk.total_space(), disk.available_space());
            let used = size.saturating_sub(available);
            usages.insert(mount_point.clone(), Usage { size, used, available, files: None });
            Mount {
                device_id: mount_point.clone(),
                root: "/".to_owned(),
                mount_point,
                fstype: disk.file_system().to_string_lossy().into_owned(),
                source: disk.name().to_string_lossy().into_owned(),
                read_only: disk.is_read_only(),
            }
        });
        Ok(mounts.collect())
    }

    fn usage(&self, mount: &Mount) -> io::Result<Usage> {
        let usages = self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        usages.get(&mount.mount_point).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
