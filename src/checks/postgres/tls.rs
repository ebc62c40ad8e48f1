//! Encryption of the connections, and watching how far the making of one came.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use tokio_postgres::{
    Socket,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::Step;
use crate::wire::{
    Wire,
    tls::{TlsProblem, TlsSettings},
};

/// How the connections of a check are encrypted.
pub(super) struct Tls {
    settings: TlsSettings,
    wire: Arc<Wire>,
    latest: Mutex<MakeRustlsConnect>,
}

impl Tls {
    /// Reads the certificates; the paths in `settings` are used as they are.
    ///
    /// # Errors
    /// The key whose file cannot be used.
    pub(super) fn new(settings: TlsSettings, wire: Arc<Wire>) -> Result<Self, TlsProblem> {
        let latest = Mutex::new(read(&settings, &wire)?);
        Ok(Self { settings, wire, latest })
    }

    /// The name to expect in the certificate, when it is not the host's.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.settings.server_name.as_deref()
    }

    /// Certificates are renewed while we run, so they are read anew; while their files cannot be
    /// used the ones read last stay.
    pub(super) fn current(&self) -> MakeRustlsConnect {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(renewed) = read(&self.settings, &self.wire) {
            *latest = renewed;
        }
        latest.clone()
    }
}

fn read(settings: &TlsSettings, wire: &Wire) -> Result<MakeRustlsConnect, TlsProblem> {
    let material = settings.load(Path::to_path_buf)?;
    let config = wire.client_config(&material, wire.verifier(&material)?)?;
    Ok(MakeRustlsConnect::new(config))
}

/// Hears how far the making of a connection came.
pub(super) type Progress = Arc<dyn Fn(Step) + Send + Sync>;

/// Tells how far the making of a connection came: the driver asks it for a handshake as soon as
/// the socket is open, and has it made once the server has agreed to TLS.
pub(super) struct Watched<T> {
    inner: T,
    server_name: Option<String>,
    progress: Progress,
}

impl<T> Watched<T> {
    /// Watches `inner`; `server_name` replaces the name of the host.
    pub(super) fn new(inner: T, server_name: Option<&str>, progress: Progress) -> Self {
        Self { inner, server_name: server_name.map(str::to_owned), progress }
    }
}

impl<T> MakeTlsConnect<Socket> for Watched<T>
where
    T: MakeTlsConnect<Socket, TlsConnect: TlsConnect<Socket, Future: Send + 'static>>,
{
    type Stream = T::Stream;
    type TlsConnect = Watched<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, T::Error> {
        (self.progress)(Step::Connected);
        let name = self.server_name.as_deref().unwrap_or(host);
        let inner = self.inner.make_tls_connect(name)?;
        Ok(Watched { inner, server_name: None, progress: self.progress.clone() })
    }
}

impl<T> TlsConnect<Socket> for Watched<T>
where
    T: TlsConnect<Socket, Future: Send + 'static>,
{
    type Stream = T::Stream;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<T::Stream, T::Error>>;

    fn connect(self, socket: Socket) -> Self::Future {
        (self.progress)(Step::Handshake);
        let handshake = self.inner.connect(socket);
        Box::pin(async move {
            let stream = handshake.await?;
            (self.progress)(Step::Encrypted);
            Ok(stream)
        })
    }
}
