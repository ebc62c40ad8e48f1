//! The client of a check, made anew when a file that it was made of changes.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::{
    outcome::{Failure, Reason},
    secret::SecretSource,
    wire::{
        Wire,
        http::{Client, ClientSettings, Proxy, Url},
        tls::{TlsProblem, TlsSettings},
    },
};

/// What the client of a check is made of.
#[derive(Debug)]
pub(super) struct ClientSource {
    /// With complete paths.
    pub(super) tls: TlsSettings,
    /// The proxy with user and password.
    pub(super) proxy: Option<(Url, Option<(String, SecretSource)>)>,
    /// Whether HTTP/2 is out of the question.
    pub(super) http1_only: bool,
}

/// A key of the section that no client can be made of, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientProblem {
    /// The path of the key.
    pub(super) key: String,
    /// Why.
    pub(super) message: String,
}

impl From<TlsProblem> for ClientProblem {
    fn from(problem: TlsProblem) -> Self {
        Self { key: format!("tls.{}", problem.key), message: problem.message }
    }
}

impl ClientSource {
    fn files(&self) -> Vec<PathBuf> {
        let TlsSettings { ca_file, cert_file, key_file, .. } = &self.tls;
        let password_file = match &self.proxy {
            Some((_, Some((_, SecretSource::File(path))))) => Some(path),
            _ => None,
        };
        let all = [ca_file.as_ref(), cert_file.as_ref(), key_file.as_ref(), password_file];
        all.into_iter().flatten().cloned().collect()
    }

    fn client(&self, wire: &Arc<Wire>) -> Result<Client, ClientProblem> {
        let mut tls = self.tls.load(Path::to_path_buf)?;
        // It belongs to the route, so that checks that differ in nothing else share a client.
        tls.server_name = None;
        let proxy = self.proxy.as_ref().map(|(url, credentials)| {
            let credentials = credentials.as_ref().map(read).transpose()?;
            Ok(Proxy { url: url.clone(), credentials })
        });
        let proxy = proxy.transpose().map_err(|error: io::Error| ClientProblem {
            key: "proxy_auth.password_file".to_owned(),
            message: format!("cannot be read: {error}"),
        })?;
        Ok(wire.http_client(ClientSettings { tls, proxy, http1_only: self.http1_only })?)
    }
}

fn read((user, password): &(String, SecretSource)) -> io::Result<(String, crate::secret::Secret)> {
    Ok((user.clone(), password.read()?))
}

/// A client that keeps up with the files it was made of.
pub(super) struct FreshClient {
    wire: Arc<Wire>,
    source: ClientSource,
    files: Vec<PathBuf>,
    held: Mutex<Held>,
}

struct Held {
    client: Client,
    stamps: Vec<Option<Stamp>>,
    doubted: bool,
}

/// Changes when a file is replaced or written.
type Stamp = (SystemTime, u64);

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(stamp).collect()
}

impl FreshClient {
    /// Makes the first client.
    pub(super) fn new(wire: Arc<Wire>, source: ClientSource) -> Result<Self, ClientProblem> {
        let files = source.files();
        // Before the files are read, so that no change in between is missed.
        let stamps = stamps(&files);
        let client = source.client(&wire)?;
        let held = Mutex::new(Held { client, stamps, doubted: false });
        Ok(Self { wire, source, files, held })
    }

    /// The client of the files as they are now.
    pub(super) fn current(&self) -> Result<Client, Failure> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.files.is_empty() {
            let stamps = stamps(&self.files);
            if held.doubted || stamps != held.stamps {
                let client = self.source.client(&self.wire).map_err(|problem| {
                    let ClientProblem { key, message } = problem;
                    Failure::new(Reason::Config, format!("{key}: the file cannot be used"))
                        .with_source(message)
                })?;
                *held = Held { client, stamps, doubted: false };
            }
        }
        Ok(held.client.clone())
    }

    /// The files are to be read again even if they look unchanged: a handshake failed.
    pub(super) fn doubt(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).doubted = true;
    }
}
