//! TLS settings of a check, and the client configuration they describe.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Wire;

/// How a check speaks TLS. All keys are optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// PEM file of the certificate authorities to trust, instead of those of this machine.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, for servers that ask for one; needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// The name to ask for and to expect in the certificate, instead of the target's host.
    pub server_name: Option<String>,
    /// Accept any certificate. The connection is then open to whoever stands in between.
    pub insecure: bool,
}

/// Settings whose files have been read.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TlsMaterial {
    /// The content of `ca_file`.
    pub ca: Option<Vec<u8>>,
    /// The contents of `cert_file` and `key_file`.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name to ask for.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure: bool,
}

impl std::fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsMaterial(***)")
    }
}

/// A key of [`TlsSettings`] that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProblem {
    /// The key.
    pub key: &'static str,
    /// Why, and what was expected.
    pub message: String,
}

impl TlsProblem {
    fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self { key, message: message.into() }
    }
}

impl TlsSettings {
    /// Reads the files; `resolve` says where a relative path starts.
    ///
    /// # Errors
    /// The first key whose file cannot be read or holds something else.
    pub fn load(&self, resolve: impl Fn(&Path) -> PathBuf) -> Result<TlsMaterial, TlsProblem> {
        let read = |key, path: &Path| {
            let path = resolve(path);
            fs::read(&path).map_err(|error| {
                TlsProblem::new(key, format!("{} cannot be read: {error}", path.display()))
            })
        };
        let ca = self.ca_file.as_deref().map(|path| read("ca_file", path)).transpose()?;
        let identity = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => Some((read("cert_file", cert)?, read("key_file", key)?)),
            (None, None) => None,
            (Some(_), None) => return Err(TlsProblem::new("cert_file", "needs `key_file` too")),
            (None, Some(_)) => return Err(TlsProblem::new("key_file", "needs `cert_file` too")),
        };
        if let Some(name) = &self.server_name {
            ServerName::try_from(name.as_str()).map_err(|_| {
                TlsProblem::new("server_name", "expected a host name or an address")
            })?;
        }
        let material = TlsMaterial {
            ca,
            identity,
            server_name: self.server_name.clone(),
            insecure: self.insecure,
        };
        material.authorities()?;
        material.certificate_and_key()?;
        Ok(material)
    }
}

impl TlsMaterial {
    fn authorities(&self) -> Result<Option<RootCertStore>, TlsProblem> {
        let Some(pem) = &self.ca else { return Ok(None) };
        let certificates = certificates("ca_file", pem)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| TlsProblem::new("ca_file", format!("not usable: {error}")))?;
        }
        Ok(Some(roots))
    }

    fn certificate_and_key(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, TlsProblem> {
        let Some((certificate, key)) = &self.identity else { return Ok(None) };
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| TlsProblem::new("key_file", "expected a private key in PEM"))?;
        Ok(Some((certificates("cert_file", certificate)?, key)))
    }
}

fn certificates(key: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let certificates: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsProblem::new(key, "expected certificates in PEM")),
    }
}

impl Wire {
    /// What judges a server's certificate under these settings.
    ///
    /// # Errors
    /// The authorities cannot be used.
    pub fn verifier(&self, tls: &TlsMaterial) -> Result<Arc<dyn ServerCertVerifier>, TlsProblem> {
        if tls.insecure {
            return Ok(Arc::new(AnyCertificate(provider())));
        }
        let roots = tls.authorities()?.map_or_else(|| self.roots(), Arc::new);
        WebPkiServerVerifier::builder_with_provider(roots, provider())
            .build()
            .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
            .map_err(|error| TlsProblem::new("ca_file", format!("not usable: {error}")))
    }

    /// The client configuration of these settings, with the verifier given.
    ///
    /// # Errors
    /// Certificate and key cannot be used together.
    pub fn client_config(
        &self,
        tls: &TlsMaterial,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<ClientConfig, TlsProblem> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsProblem::new("tls", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        match tls.certificate_and_key()? {
            None => Ok(builder.with_no_client_auth()),
            Some((certificates, key)) => builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| TlsProblem::new("cert_file", format!("not usable: {error}"))),
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Accepts any certificate, but still wants the handshake to be signed with its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
