//! Which mounts are watched: the file systems of this machine once each, and what is named.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::pattern::Pattern;
use crate::mountinfo::Mount;

/// More mounts than this are left out, so that their series stay few.
const MAX_MOUNTS: usize = 200;

/// Types that hold no files of their own, are views of other file systems, or are images that are
/// full by design.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devfs",
    "devpts",
    "devtmpfs",
    "ecryptfs",
    "efivarfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "nullfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "romfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
];

/// Types whose files are on another machine, which may be gone.
const NETWORK: &[&str] = &[
    "9p",
    "acfs",
    "afpfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fakeowner",
    "fuse",
    "gfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs3",
    "nfs4",
    "ocfs2",
    "orangefs",
    "prl_fs",
    "pvfs2",
    "smb2",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
    "webdav",
];

/// Mounts below these belong to containers, packages and the system's own machinery.
const NOT_BELOW: &[&str] = &[
    "/dev",
    "/proc",
    "/run",
    "/snap",
    "/sys",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/lib/lxcfs",
    "/var/lib/snapd",
];

/// Single files that a container is given of its host.
const CONTAINER_FILES: &[&str] = &["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// Which file systems a `disk` check watches.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "MountSelection")]
pub(super) struct Selection {
    /// Mount points, or patterns in which `*` stands for any characters; empty (the default) for
    /// every local file system. A mount point without `*` must be mounted and is watched whatever
    /// its type is; a pattern takes local file systems only. At most 200 are watched.
    pub(super) include: Vec<Pattern>,
    /// Mount points or patterns that are not watched (default none).
    pub(super) exclude: Vec<Pattern>,
}

/// What is watched in one run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Chosen {
    /// In the order of their mount points.
    pub(super) mounts: Vec<Mount>,
    /// Mount points that are named, but have no mount.
    pub(super) missing: Vec<String>,
    /// How many mounts were too many.
    pub(super) left_out: usize,
}

impl Selection {
    /// Whether the mount point is named as such, not by a pattern.
    pub(super) fn names(&self, mount_point: &str) -> bool {
        self.include.iter().any(|pattern| pattern.name() == Some(mount_point))
    }

    fn takes(&self, mount: &Mount) -> bool {
        let point = mount.mount_point.as_str();
        let matches = |pattern: &Pattern| pattern.matches(point);
        let included = self.include.is_empty() || self.include.iter().any(matches);
        // The root of a container is an overlay, and still the one that fills up.
        let kept = point == "/" || is_local(mount);
        self.names(point) || (included && kept && !self.exclude.iter().any(matches))
    }

    /// Chooses among all mounts of the machine: what is named, and of the others one of each
    /// file system.
    pub(super) fn choose(&self, mounts: Vec<Mount>) -> Chosen {
        // A later mount at the same place covers the earlier one.
        let visible: BTreeMap<_, _> =
            mounts.into_iter().map(|mount| (mount.mount_point.clone(), mount)).collect();
        let named = self.include.iter().filter_map(Pattern::name);
        let missing = named.filter(|name| !visible.contains_key(*name)).map(str::to_owned);
        let missing = missing.collect();
        let mut mounts: Vec<_> = visible.into_values().filter(|mount| self.takes(mount)).collect();
        // Of the places where a file system is seen, a bind mount tells least what it is.
        mounts.sort_by_key(|mount| {
            let point = mount.mount_point.as_str();
            let bound = point != "/" && mount.root != "/";
            (!self.names(point), bound, point.chars().count())
        });
        let mut devices = HashSet::new();
        mounts.retain(|mount| {
            devices.insert(mount.device_id.clone()) || self.names(&mount.mount_point)
        });
        let left_out = mounts.len().saturating_sub(MAX_MOUNTS);
        mounts.truncate(MAX_MOUNTS);
        mounts.sort_by(|one, other| one.mount_point.cmp(&other.mount_point));
        Chosen { mounts, missing, left_out }
    }
}

fn is_local(mount: &Mount) -> bool {
    let fstype = mount.fstype.as_str();
    let point = mount.mount_point.as_str();
    let below =
        |folder: &&str| point.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    !PSEUDO.contains(&fstype)
        && !is_network(fstype)
        && !NOT_BELOW.iter().any(below)
        && !CONTAINER_FILES.contains(&point)
}

/// Whether the files may be on another machine.
pub(super) fn is_network(fstype: &str) -> bool {
    NETWORK.contains(&fstype) || fstype.starts_with("fuse.")
}

/// What is mounted, for a label: a network source may carry a user and even a password.
pub(super) fn device(mount: &Mount) -> &str {
    let source = mount.source.as_str();
    if !is_network(&mount.fstype) {
        return source;
    }
    let address = source.split_once("://").map(|(_, rest)| rest);
    let address = address.or_else(|| source.strip_prefix("//")).unwrap_or(source);
    let host = address.split_once('/').map_or(address, |(host, _)| host);
    match host.rfind('@') {
        Some(at) => &address[at + 1..],
        None => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo;

    fn points(chosen: &Chosen) -> Vec<&str> {
        chosen.mounts.iter().map(|mount| mount.mount_point.as_str()).collect()
    }

    fn chosen(include: &[&str], exclude: &[&str], text: &str) -> Chosen {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Selection { include: patterns(include), exclude: patterns(exclude) }
            .choose(mountinfo::parse(text))
    }

    const SERVER: &str = "\
        22 27 0:21 / /proc rw - proc proc rw
        24 27 0:6 / /dev rw - devtmpfs devtmpfs rw
        27 1 254:0 / / rw - ext4 /dev/vda1 rw
        28 27 254:15 / /boot/efi rw - vfat /dev/vda15 rw
        29 27 0:30 / /run rw - tmpfs tmpfs rw
        30 29 8:32 / /run/media/ada/STICK rw - vfat /dev/sdc rw
        31 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
        32 27 8:16 / /var/lib/docker rw - xfs /dev/sdb rw
        33 32 0:50 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw
        34 32 8:48 / /var/lib/docker/volumes/b rw - ext4 /dev/sdd rw
        35 27 254:0 /srv /srv/bind rw - ext4 /dev/vda1 rw
        39 27 8:16 /x /x rw - xfs /dev/sdb rw
        36 27 0:60 / /mnt/nfs rw - nfs4 store:/export rw
        37 27 0:61 / /home/ada/cloud rw - fuse.sshfs ada@host:/home rw
        38 27 0:62 / /mnt/windows rw - fuseblk /dev/sde1 rw";

    #[test]
    fn the_local_file_systems_are_watched_once_each() {
        let text = SERVER.replace("        ", "");
        let seen = chosen(&[], &[], &text);
        assert_eq!(points(&seen), ["/", "/boot/efi", "/mnt/windows", "/var/lib/docker"]);
        let seen = chosen(&[], &["/boot/*", "/mnt/windows/"], &text);
        assert_eq!(points(&seen), ["/", "/var/lib/docker"]);
    }

    #[test]
    fn a_pattern_takes_local_file_systems_and_a_name_takes_anything() {
        let text = SERVER.replace("        ", "");
        assert_eq!(points(&chosen(&["/mnt/*"], &[], &text)), ["/mnt/windows"]);
        let seen = chosen(&["/mnt/nfs/", "/srv/bind", "/", "*/docker"], &["/*"], &text);
        assert_eq!(points(&seen), ["/", "/mnt/nfs", "/srv/bind"]);
    }

    #[test]
    fn a_named_mount_point_without_a_mount_is_missing() {
        let seen = chosen(&["/data", "/backup*"], &[], "27 1 254:0 / / rw - ext4 /dev/vda rw");
        assert_eq!(points(&seen), Vec::<&str>::new());
        assert_eq!(seen.missing, ["/data"]);
    }

    #[test]
    fn in_a_container_the_root_is_watched_and_the_files_of_the_host_are_not() {
        let text = "\
27 1 0:90 / / rw - overlay overlay rw
28 27 0:91 / /proc rw - proc proc rw
29 27 254:1 /var/lib/docker/containers/a/hosts /etc/hosts rw - ext4 /dev/vda1 rw
30 27 254:1 /var/lib/docker/volumes/b/_data /var/lib/postgresql/data rw - ext4 /dev/vda1 rw
31 27 254:1 /termination-log /dev/termination-log rw - ext4 /dev/vda1 rw";
        assert_eq!(points(&chosen(&[], &[], text)), ["/", "/var/lib/postgresql/data"]);
    }

    #[test]
    fn a_covered_mount_is_not_seen() {
        let text = "\
40 27 8:1 / /home rw - ext4 /dev/sda1 rw
41 27 0:70 / /home ro - tmpfs tmpfs ro";
        assert_eq!(points(&chosen(&[], &[], text)), Vec::<&str>::new());
    }

    #[test]
    fn very_many_mounts_are_cut_but_named_ones_stay() {
        use std::fmt::Write as _;
        let mut text = "9 1 8:0 / /zzz/zzz/zzz rw - ext4 /dev/sda rw\n".to_owned();
        for number in 0..300 {
            writeln!(text, "10 1 0:{number} / /pool/{number} rw - zfs pool/{number} rw").unwrap();
        }
        let seen = chosen(&["/pool/*", "/zzz/zzz/zzz"], &[], &text);
        assert_eq!((seen.mounts.len(), seen.left_out), (200, 101));
        assert_eq!(seen.mounts.last().unwrap().mount_point, "/zzz/zzz/zzz");
    }

    #[test]
    fn a_label_names_no_user_of_a_network_file_system() {
        let device_of = |fstype: &str, source: &str| {
            let line = format!("1 1 0:1 / /m rw - {fstype} {source} rw");
            device(&mountinfo::parse(&line)[0]).to_owned()
        };
        assert_eq!(device_of("ext4", "/dev/disk/by-id/a@b"), "/dev/disk/by-id/a@b");
        assert_eq!(device_of("nfs4", "store:/a@b"), "store:/a@b");
        assert_eq!(device_of("cifs", "//store/share@1"), "//store/share@1");
        assert_eq!(device_of("cifs", "//ada:secret@store/share"), "store/share");
        assert_eq!(device_of("fuse.sshfs", "ada@host:/home"), "host:/home");
        assert_eq!(device_of("fuse", "https://ada:s@cret@dav.example/x"), "dav.example/x");
    }
}
