//! The one hash of this program: the same on every machine and in every version.

/// FNV-1a with a final mix, so that similar texts end far apart.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(hash(b"orders-db"), hash(b"orders-db"));
        assert_eq!(hash(b""), 0xecba_3df2_c338_3c52);
    }
}
