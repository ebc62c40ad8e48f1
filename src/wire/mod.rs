//! What checks share to reach the outside world: certificates and clients.

mod handshake;
pub mod http;
pub mod resolver;
pub mod stream;
pub mod tls;

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, OnceLock},
};

use rustls::RootCertStore;

/// Built once for all checks of an engine.
#[derive(Debug, Default)]
pub struct Wire {
    roots: OnceLock<Arc<RootCertStore>>,
    resolver: resolver::Resolver,
    http_clients: http::Clients,
}

impl Wire {
    /// What finds the addresses of names.
    pub fn resolver(&self) -> &resolver::Resolver {
        &self.resolver
    }

    /// The certificate authorities of this machine, or Mozilla's where it has none.
    pub fn roots(&self) -> Arc<RootCertStore> {
        // Parsing them costs milliseconds and megabytes that a program without TLS need not pay.
        self.roots.get_or_init(|| Arc::new(load_roots())).clone()
    }
}

/// A text that no other run has: what is written with it and read back is this run's own.
pub fn nonce() -> String {
    // The keys of each state differ, and those of a process are random.
    let part = || RandomState::new().hash_one(());
    format!("{:016x}{:016x}", part(), part())
}

fn load_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_runs_have_the_same_nonce() {
        let nonces: std::collections::HashSet<_> = (0..1_000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1_000);
        assert!(nonces.iter().all(|nonce| nonce.len() == 32));
    }
}
