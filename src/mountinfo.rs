//! What Linux says about the mounts of a process, as values; a pure function over the text of
//! `/proc/<pid>/mountinfo`.

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The device number `major:minor`; all mounts of one file system share it.
    pub device_id: String,
    /// The folder of the file system that is mounted, `/` unless it is a bind mount or a
    /// subvolume.
    pub root: String,
    /// Where it is mounted.
    pub mount_point: String,
    /// The type of the file system, such as `ext4`.
    pub fstype: String,
    /// What is mounted, such as `/dev/sda1`; empty when nothing is named.
    pub source: String,
    /// Whether the file system itself is read-only. A read-only mount of a file system that is
    /// written elsewhere, such as a sandbox makes it, is not.
    pub read_only: bool,
}

/// The mounts in the order in which they were made; lines that are not understood are left out.
///
/// A mount point that comes twice is covered by the later mount.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    // Fields are split at every single space, since the source may be empty.
    let mut fields = line.split(' ');
    let device_id = fields.nth(2)?.to_owned();
    let root = unescape(fields.next()?);
    let mount_point = unescape(fields.next()?);
    let mut fields = fields.skip_while(|field| *field != "-").skip(1);
    let fstype = unescape(fields.next()?);
    let source = unescape(fields.next()?);
    let read_only = fields.next()?.split(',').any(|option| option == "ro");
    Some(Mount { device_id, root, mount_point, fstype, source, read_only })
}

/// Undoes `\040` and the like, in which the kernel writes spaces, tabs, line breaks and `\`.
fn unescape(field: &str) -> String {
    if !field.contains('\\') {
        return field.to_owned();
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| byte == b'\\').and_then(octal);
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[3..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_optional_fields_in_its_middle() {
        let text = "\
            36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root ro,errors=continue\n\
            27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n";
        let [bind, root] = parse(text).try_into().unwrap();
        let expected = Mount {
            device_id: "98:0".into(),
            root: "/mnt1".into(),
            mount_point: "/mnt2".into(),
            fstype: "ext3".into(),
            source: "/dev/root".into(),
            read_only: true,
        };
        assert_eq!(bind, expected);
        assert_eq!((root.mount_point.as_str(), root.read_only), ("/", false));
    }

    #[test]
    fn only_the_file_system_makes_a_mount_read_only() {
        let sandboxed = "27 1 254:0 / / ro,nosuid,relatime - ext4 /dev/vda rw,errors=remount-ro";
        assert!(!parse(sandboxed)[0].read_only);
    }

    #[test]
    fn names_are_unescaped_and_may_be_empty() {
        let text = r"40 27 0:30 / /media/my\040disk\134\011\303\244\9 rw - fuse.x  rw";
        let mount = &parse(text)[0];
        assert_eq!(mount.mount_point, "/media/my disk\\\tä\\9");
        assert_eq!((mount.fstype.as_str(), mount.source.as_str()), ("fuse.x", ""));
    }

    #[test]
    fn what_is_not_a_mount_is_left_out() {
        assert_eq!(parse("\nnonsense\n36 35 98:0 / /mnt rw\n36 35 98:0 / /mnt rw - ext4\n"), []);
    }
}
