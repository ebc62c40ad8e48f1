//! What checks share to reach the outside world: certificates and clients.

pub mod http;
pub mod resolver;
pub mod tls;

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;

/// Built once for all checks of an engine.
#[derive(Debug, Default)]
pub struct Wire {
    roots: OnceLock<Arc<RootCertStore>>,
    resolver: resolver::Resolver,
    http_clients: http::Clients,
}

impl Wire {
    /// The certificate authorities of this machine, or Mozilla's where it has none.
    pub fn roots(&self) -> Arc<RootCertStore> {
        // Parsing them costs milliseconds and megabytes that a program without TLS need not pay.
        self.roots.get_or_init(|| Arc::new(load_roots())).clone()
    }
}

fn load_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
