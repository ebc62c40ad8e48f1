//! Opening a connection for drivers that take one ready made: the name, TCP and TLS are then timed
//! on their own, tell their failures apart, and end with the run that wanted them.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::time::{Instant, timeout};

use super::{
    Wire, handshake,
    tls::{TlsProblem, TlsSettings},
};
use crate::outcome::{Failure, Phase, Reason};

impl Wire {
    /// Opens a connection to `host`, announcing each phase as it begins.
    ///
    /// The addresses of a name are tried in turn. Each gets an equal share of the time that is
    /// left, so that one that never answers leaves time for the next.
    ///
    /// # Errors
    /// `dns`, `connect`, or `timeout` when the operating system gave up.
    pub async fn dial<S, F>(
        &self,
        (host, port): (&str, u16),
        deadline: Instant,
        phase: impl Fn(Phase),
        open: impl Fn(SocketAddr) -> F,
    ) -> Result<S, Failure>
    where
        F: Future<Output = io::Result<S>>,
    {
        let addresses = if let Ok(address) = host.parse::<IpAddr>() {
            [address].into()
        } else {
            phase(Phase::Resolve);
            self.resolve(host).await?
        };
        phase(Phase::Connect);
        let mut last = None;
        for (index, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, port);
            let others = u32::try_from(addresses.len() - index - 1).unwrap_or(u32::MAX);
            let opened = if others == 0 {
                open(address).await
            } else {
                let share = deadline.saturating_duration_since(Instant::now()) / (others + 1);
                let elapsed = |_| Err(io::ErrorKind::TimedOut.into());
                timeout(share, open(address)).await.unwrap_or_else(elapsed)
            };
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(connect_failure(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())))
    }

    async fn resolve(&self, host: &str) -> Result<Arc<[IpAddr]>, Failure> {
        let addresses = self.resolver.lookup(host).await.map_err(|error| {
            Failure::new(Reason::Dns, "the name of the host cannot be resolved").with_source(error)
        })?;
        if addresses.is_empty() {
            return Err(Failure::new(Reason::Dns, "the name of the host has no address"));
        }
        Ok(addresses)
    }
}

/// What it means that no connection came about, or that it broke.
pub fn connect_failure(error: io::Error) -> Failure {
    let (reason, message) = explain(&error);
    Failure::new(reason, message).with_source(error)
}

/// The reason for an error of a connection, and a sentence about it.
pub fn explain(error: &io::Error) -> (Reason, String) {
    if let Some(cause) = tls_cause(error) {
        // TLS 1.3 lets a server refuse a client after the handshake seems done.
        return (Reason::Tls, handshake::explain(cause, "the server"));
    }
    let (reason, message) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (Reason::Connect, "the connection was refused"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            (Reason::Connect, "the host cannot be reached")
        }
        io::ErrorKind::NotFound => (Reason::Connect, "the socket does not exist"),
        io::ErrorKind::PermissionDenied => (Reason::Connect, "the connection is not permitted"),
        io::ErrorKind::TimedOut => (Reason::Timeout, "the connection timed out"),
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted => (Reason::Connect, "the server closed the connection"),
        _ => (Reason::Connect, "the connection failed"),
    };
    (reason, message.to_owned())
}

/// TLS towards one host. Its files are read anew for every connection, so that rotated ones are
/// seen.
#[derive(Debug)]
pub struct TlsClient {
    wire: Arc<Wire>,
    settings: TlsSettings,
    server_name: ServerName<'static>,
}

impl TlsClient {
    /// TLS towards `host` under `settings`; `resolve` says where a relative path starts.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn new(
        wire: &Arc<Wire>,
        settings: &TlsSettings,
        host: &str,
        resolve: impl Fn(&Path) -> PathBuf,
    ) -> Result<Self, TlsProblem> {
        let absolute = |path: &Option<PathBuf>| path.as_deref().map(&resolve);
        let settings = TlsSettings {
            ca_file: absolute(&settings.ca_file),
            cert_file: absolute(&settings.cert_file),
            key_file: absolute(&settings.key_file),
            ..settings.clone()
        };
        let name = settings.server_name.as_deref().unwrap_or(host).to_owned();
        let server_name = ServerName::try_from(name).map_err(|_| TlsProblem {
            key: "server_name",
            message: "expected a host name or an address".to_owned(),
        })?;
        let client = Self { wire: wire.clone(), settings, server_name };
        client.read()?;
        Ok(client)
    }

    /// The configuration for the next connection.
    ///
    /// # Errors
    /// `config` when a file has become unusable.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        self.read().map(Arc::new).map_err(|TlsProblem { key, message }| {
            Failure::new(Reason::Config, format!("`tls.{key}` can no longer be used"))
                .with_source(message)
        })
    }

    /// The name to ask for and to expect in the certificate.
    pub fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }

    /// What it means that the handshake failed.
    pub fn failure(&self, error: io::Error) -> Failure {
        let message = match tls_cause(&error) {
            Some(cause) => handshake::explain(cause, &self.server_name.to_str()),
            None => "the connection was closed during the TLS handshake".to_owned(),
        };
        Failure::new(Reason::Tls, message).with_source(error)
    }

    fn read(&self) -> Result<ClientConfig, TlsProblem> {
        let material = self.settings.load(Path::to_path_buf)?;
        self.wire.client_config(&material, self.wire.verifier(&material)?)
    }
}

fn tls_cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::AlertDescription;
    use std::{
        sync::{Mutex, PoisonError},
        time::Duration,
    };
    use tokio::net::{TcpListener, TcpStream};

    async fn dialled(host: &str, port: u16) -> (Result<TcpStream, Failure>, Vec<Phase>) {
        let phases = Mutex::new(Vec::new());
        let deadline = Instant::now() + Duration::from_secs(5);
        let note = |phase| phases.lock().unwrap_or_else(PoisonError::into_inner).push(phase);
        let wire = Wire::default();
        let stream =
            wire.dial((host, port), deadline, note, TcpStream::connect::<SocketAddr>).await;
        (stream, phases.into_inner().unwrap())
    }

    #[tokio::test]
    async fn an_address_is_not_resolved() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stream, phases) = dialled("127.0.0.1", port).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap().port(), port);
        assert_eq!(phases, [Phase::Connect]);
        assert_eq!(dialled("localhost", port).await.1, [Phase::Resolve, Phase::Connect]);
    }

    #[tokio::test]
    async fn refusals_and_unknown_names_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let refused = dialled("127.0.0.1", port).await.0.unwrap_err();
        assert_eq!(refused.reason, Reason::Connect);
        assert_eq!(refused.message, "the connection was refused");
        let unknown = dialled("no-such-host.invalid", port).await.0.unwrap_err();
        assert_eq!(unknown.reason, Reason::Dns);
    }

    #[test]
    fn a_server_may_want_a_certificate_after_the_handshake() {
        let refused = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        let late = connect_failure(io::Error::other(refused));
        assert_eq!(late.reason, Reason::Tls);
        assert_eq!(late.message, "the server wants a client certificate");
    }
}
