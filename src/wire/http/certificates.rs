//! What the certificates of a server say about their time.

use rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode};

/// The certificates that a server showed, and whether they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// When the server's own certificate expires, in seconds since 1970.
    pub leaf_expiry: Option<u64>,
    /// When the first of all its certificates expires, in seconds since 1970.
    pub earliest_expiry: Option<u64>,
    /// Whether the certificate is trusted, valid now, and the server's own.
    pub verified: bool,
}

impl Chain {
    pub(super) fn new(
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        verified: bool,
    ) -> Self {
        let leaf_expiry = expiry(leaf);
        let others = intermediates.iter().filter_map(expiry);
        let earliest_expiry = leaf_expiry.into_iter().chain(others).min();
        Self { leaf_expiry, earliest_expiry, verified }
    }
}

fn expiry(certificate: &CertificateDer<'_>) -> Option<u64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn expiring(year: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_earliest_expiry_counts_the_leaf_and_all_that_came_with_it() {
        let chain = Chain::new(&expiring(2030), &[expiring(2040), expiring(2020)], true);
        assert_eq!(chain.leaf_expiry, Some(1_893_456_000));
        assert_eq!(chain.earliest_expiry, Some(1_577_836_800));
    }

    #[test]
    fn what_is_no_certificate_has_no_expiry() {
        let chain = Chain::new(&CertificateDer::from(vec![1, 2, 3]), &[], false);
        assert_eq!((chain.leaf_expiry, chain.earliest_expiry), (None, None));
    }
}
