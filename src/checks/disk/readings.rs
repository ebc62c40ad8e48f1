//! The metric families of a `disk` check.

use super::{mounts::device, usage::Usage};
use crate::{
    check::ProbeContext,
    mountinfo::Mount,
    outcome::lossy,
    reading::ReadingDef,
    units::{Limits, Ratio},
};

const OF_MOUNT: &[&str] = &["device", "fstype", "mountpoint"];

const SIZE: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_size_bytes",
    "Size of the file system, as of the last background run.",
    OF_MOUNT,
);
const AVAILABLE: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_avail_bytes",
    "Space left to users without privileges, as of the last background run.",
    OF_MOUNT,
);
const USED_RATIO: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_used_ratio",
    "Share of the space in use as df shows it, as of the last background run.",
    OF_MOUNT,
);
const USED_RATIO_THRESHOLD: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_used_threshold_ratio",
    "Configured limit of health_system_filesystem_used_ratio, as of the last background run.",
    &["level"],
);
const FILES: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_files",
    "Inodes that the file system has, as of the last background run.",
    OF_MOUNT,
);
const FILES_FREE: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_files_free",
    "Inodes that are free, as of the last background run.",
    OF_MOUNT,
);
const FILES_USED_RATIO: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_files_used_ratio",
    "Share of the inodes in use, as of the last background run.",
    OF_MOUNT,
);
const FILES_USED_RATIO_THRESHOLD: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_files_used_threshold_ratio",
    "Configured limit of health_system_filesystem_files_used_ratio, as of the last background run.",
    &["level"],
);
const READ_ONLY: ReadingDef = ReadingDef::gauge(
    "health_system_filesystem_readonly",
    "Whether the file system is read-only, as of the last background run.",
    OF_MOUNT,
);

/// Every family.
pub(super) const ALL: &[ReadingDef] = &[
    SIZE,
    AVAILABLE,
    USED_RATIO,
    USED_RATIO_THRESHOLD,
    FILES,
    FILES_FREE,
    FILES_USED_RATIO,
    FILES_USED_RATIO_THRESHOLD,
    READ_ONLY,
];

/// Records what is configured.
pub(super) fn limits(
    context: &ProbeContext,
    space: Option<Limits<Ratio>>,
    inodes: Option<Limits<Ratio>>,
) {
    for (def, limits) in [(USED_RATIO_THRESHOLD, space), (FILES_USED_RATIO_THRESHOLD, inodes)] {
        for (level, limit) in limits.iter().flat_map(Limits::levels) {
            context.read(&def, &[level.as_str()], limit.0);
        }
    }
}

/// Records what is known of one mount; nothing of its usage when that could not be had.
pub(super) fn mount(context: &ProbeContext, mount: &Mount, usage: Option<&Usage>) {
    let labels = [device(mount), &mount.fstype, &mount.mount_point];
    let read = |def: &ReadingDef, value: Option<f64>| {
        if let Some(value) = value {
            context.read(def, &labels, value);
        }
    };
    let files = usage.and_then(|usage| usage.files);
    read(&READ_ONLY, Some(f64::from(u8::from(mount.read_only))));
    read(&SIZE, usage.map(|usage| lossy(usage.size)));
    read(&AVAILABLE, usage.map(|usage| lossy(usage.available)));
    read(&USED_RATIO, usage.and_then(Usage::used_ratio));
    read(&FILES, files.map(|files| lossy(files.total)));
    read(&FILES_FREE, files.map(|files| lossy(files.free)));
    read(&FILES_USED_RATIO, files.and_then(|files| files.used_ratio()));
}
