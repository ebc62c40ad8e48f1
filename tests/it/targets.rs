//! Servers that behave as a test needs it: scripted answers, silence, broken connections.
//!
//! Each has a thread and a runtime of its own, so that it serves whatever kind of test, and is
//! gone when it is dropped.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};
use tokio_rustls::TlsAcceptor;

/// What no test waits longer for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET /path HTTP/1.1`
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, if its length was given.
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// What to write, and what to do then.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    delay: Duration,
    bytes: Vec<u8>,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Close,
    Reset,
    Hang,
}

impl Answer {
    /// Status, headers (each with its line break) and body.
    pub(crate) fn new(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head =
            format!("HTTP/1.1 {status} Text\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        Self::raw([head.as_bytes(), body].concat())
    }

    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::new(200, "", body)
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, &format!("location: {location}\r\n"), "")
    }

    /// Just these bytes.
    pub(crate) fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self { delay: Duration::ZERO, bytes: bytes.as_ref().to_vec(), then: Then::Close }
    }

    /// The server takes this long.
    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The connection then stays open until the client closes it.
    pub(crate) fn then_hang(self) -> Self {
        Self { then: Then::Hang, ..self }
    }

    /// The connection is then reset.
    pub(crate) fn then_reset(self) -> Self {
        Self { then: Then::Reset, ..self }
    }
}

/// A server for HTTP/1.1, with or without TLS.
pub(crate) struct Server {
    address: SocketAddr,
    seen: watch::Receiver<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    accepted: usize,
    closed: usize,
}

/// What a server does with a connection.
struct Play {
    tls: Option<TlsAcceptor>,
    greeting: Vec<u8>,
    script: Box<dyn Fn(&Request) -> Answer + Send + Sync>,
}

impl Play {
    fn new(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self { tls: None, greeting: Vec::new(), script: Box::new(script) }
    }
}

/// A free port of this machine.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Server {
    /// Answers each request as the script says, on a free port of 127.0.0.1.
    pub(crate) fn http(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(LOCAL, Play::new(script))
    }

    /// The same on an address of choice.
    pub(crate) fn http_at(
        address: SocketAddr,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(address, Play::new(script))
    }

    /// Answers each request over TLS.
    pub(crate) fn https(
        tls: ServerConfig,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::https_at(LOCAL, tls, script)
    }

    /// The same on an address of choice.
    pub(crate) fn https_at(
        address: SocketAddr,
        tls: ServerConfig,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let tls = Some(TlsAcceptor::from(Arc::new(tls)));
        Self::start(address, Play { tls, ..Play::new(script) })
    }

    /// Says this to whoever connects, without waiting for a request.
    pub(crate) fn greeting(bytes: impl AsRef<[u8]>) -> Self {
        let greeting = bytes.as_ref().to_vec();
        Self::start(LOCAL, Play { greeting, ..Play::new(|_| Answer::raw("")) })
    }

    /// Accepts connections and never says a word.
    pub(crate) fn silent() -> Self {
        Self::http(|_| Answer::raw("").then_hang())
    }

    fn start(address: SocketAddr, play: Play) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (seen_here, seen) = watch::channel(Seen::default());
        let (stop, stopped) = oneshot::channel();
        let serving = serve(listener, Arc::new(play), Arc::new(seen_here));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // Leaving `block_on` drops the runtime, and with it every connection.
            runtime.unwrap().block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, seen, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path, over plain HTTP.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.borrow().requests.clone()
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.seen.borrow().accepted
    }

    /// Returns when no connection is open.
    pub(crate) async fn all_closed(&self) {
        let mut seen = self.seen.clone();
        let closed = seen.wait_for(|seen| seen.accepted == seen.closed);
        assert!(tokio::time::timeout(PATIENCE, closed).await.is_ok(), "a connection stayed open");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in a script has failed its test already.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, play: Arc<Play>, seen: Arc<watch::Sender<Seen>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        seen.send_modify(|seen| seen.accepted += 1);
        let (play, seen) = (play.clone(), seen.clone());
        tokio::spawn(async move {
            match &play.tls {
                None => talk(stream, &play, &seen).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        talk(stream, &play, &seen).await;
                    }
                }
            }
            seen.send_modify(|seen| seen.closed += 1);
        });
    }
}

/// Serves one connection; whatever breaks it ends it.
async fn talk<S: Stream>(mut stream: S, play: &Play, seen: &watch::Sender<Seen>) {
    if stream.write_all(&play.greeting).await.is_err() {
        return;
    }
    while let Some(request) = read_request(&mut stream).await {
        let answer = (play.script)(&request);
        seen.send_modify(|seen| seen.requests.push(request));
        tokio::time::sleep(answer.delay).await;
        if stream.write_all(&answer.bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        match answer.then {
            Then::Hang => {}
            Then::Close => {
                let _ = stream.shutdown().await;
                return;
            }
            Then::Reset => {
                stream.reset();
                return;
            }
        }
    }
}

async fn read_request<S: Stream>(stream: &mut S) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let line = lines.next()?.to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut request = Request { line, headers, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes closing send a reset.
    fn reset(&self);
}

impl Stream for TcpStream {
    fn reset(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Stream for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}
