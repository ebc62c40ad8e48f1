//! Where the client library lets us look: name resolution, TLS handshake, connection made.
//!
//! A client is shared by many checks, so what belongs to one exchange travels in a task-local;
//! the library polls all of this in the task that awaits the exchange.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use futures_util::future::{FutureExt, Inspect};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{
    DigitallySignedStruct, NamedGroup, SignatureScheme,
    client::{
        ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{Chain, Run, route::IpFamily};
use crate::{
    outcome::Phase,
    wire::{Wire, resolver::Resolver, tls::TlsMaterial},
};

tokio::task_local! {
    pub(super) static RUN: Arc<Run>;
}

/// Tells the exchange of this task that it comes into a phase.
fn enter(phase: Phase) {
    // Outside of an exchange there is nobody to tell.
    let _ = RUN.try_with(|run| run.enter(phase));
}

/// Resolves names, unless the exchange knows where to go.
pub(super) struct Dialler(pub(super) Resolver);

impl Resolve for Dialler {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        let run = RUN.try_with(Arc::clone).ok();
        Box::pin(async move {
            let dial = run.as_ref().map(|run| &run.dial);
            let addresses = if let Some(address) = dial.and_then(|dial| dial.address) {
                vec![address]
            } else {
                let other = dial.and_then(|dial| dial.host.as_deref());
                let family = dial.and_then(|dial| dial.family);
                lookup(&resolver, other.unwrap_or(name.as_str()), family).await?
            };
            enter(Phase::Connect);
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

async fn lookup(
    resolver: &Resolver,
    host: &str,
    family: Option<IpFamily>,
) -> Result<Vec<SocketAddr>, Unresolved> {
    let unresolved = |family, source| Unresolved { host: host.to_owned(), family, source };
    let found = resolver.lookup(host).await.map_err(|error| unresolved(None, Some(error)))?;
    // Port 0 lets the library put in that of the URL.
    let found = found.iter().map(|address| SocketAddr::new(*address, 0));
    let fits = |address: &SocketAddr| family.is_none_or(|family| family.holds(*address));
    let fitting: Vec<_> = found.filter(fits).collect();
    if fitting.is_empty() { Err(unresolved(family, None)) } else { Ok(fitting) }
}

/// A name has no address for us.
#[derive(Debug)]
pub(super) struct Unresolved {
    host: String,
    family: Option<IpFamily>,
    source: Option<Arc<std::io::Error>>,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, self.family) {
            (None, Some(family)) => {
                write!(f, "the name {} has no {} address", self.host, family.as_str())
            }
            _ => write!(f, "the name {} could not be resolved", self.host),
        }
    }
}

impl std::error::Error for Unresolved {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Forgets every session, so that each handshake is a full one, and notices when one begins:
/// asking for a hint is the first thing a handshake does.
#[derive(Debug)]
pub(super) struct NoSessions;

impl ClientSessionStore for NoSessions {
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        enter(Phase::Tls);
        None
    }

    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

/// Tells what it sees of a certificate and of its verdict, and then stands by that verdict.
#[derive(Debug)]
pub(super) struct RecordingVerifier {
    judge: Judge,
    algorithms: WebPkiSupportedAlgorithms,
    insecure: bool,
}

/// Always strict, so that what is told is true.
#[derive(Debug)]
pub(super) enum Judge {
    /// Trusts the authorities of a file.
    Given(Arc<dyn ServerCertVerifier>),
    /// Trusts the authorities of this machine, which are not read before a certificate comes.
    Machine(Arc<Wire>, OnceLock<Option<Arc<dyn ServerCertVerifier>>>),
}

impl Judge {
    fn verifier(&self) -> Result<&Arc<dyn ServerCertVerifier>, rustls::Error> {
        match self {
            Self::Given(verifier) => Ok(verifier),
            Self::Machine(wire, made) => made
                .get_or_init(|| wire.verifier(&TlsMaterial::default()).ok())
                .as_ref()
                .ok_or_else(|| rustls::Error::General("no authorities to trust".to_owned())),
        }
    }
}

impl RecordingVerifier {
    /// `insecure` is whether the user wants to go on whatever the verdict.
    pub(super) fn new(judge: Judge, insecure: bool) -> Self {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Self { judge, algorithms, insecure }
    }
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.judge.verifier().and_then(|verifier| {
            verifier.verify_server_cert(leaf, intermediates, server_name, ocsp_response, now)
        });
        let chain = Chain::new(leaf, intermediates, verdict.is_ok());
        let _ = RUN.try_with(|run| run.observer.chain(chain));
        if self.insecure { Ok(ServerCertVerified::assertion()) } else { verdict }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Notices that a connection is made, TLS and proxy included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connected;

/// The connector that [`Connected`] watches.
#[derive(Debug, Clone)]
pub(super) struct Watched<S>(S);

impl<S> Layer<S> for Connected {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched(inner)
    }
}

impl<S: Service<R>, R> Service<R> for Watched<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Inspect<S::Future, fn(&Result<S::Response, S::Error>)>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.0.call(request).inspect(|result| {
            if result.is_ok() {
                enter(Phase::Processing);
            }
        })
    }
}
