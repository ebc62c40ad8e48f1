//! HTTP exchanges, each over a connection of its own, that tell every step while they go on.

mod certificates;
mod client;
mod failures;
mod hooks;
mod route;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
pub use reqwest::Url;

pub(super) use self::client::Clients;

pub use self::{
    certificates::Chain,
    client::{Client, ClientSettings, Proxy},
    route::{IpFamily, Route},
};
use self::{failures::Scene, route::Shown};
use crate::{
    outcome::{Failure, Phase, Reason},
    secret::Secret,
};

/// Hears what an exchange learns while it goes on, since its future may be dropped at any await.
pub trait Observer: Send + Sync + 'static {
    /// A phase begins, and the one before ends.
    fn phase(&self, phase: Phase);

    /// The server showed its certificates and they were judged; nothing has been sent yet.
    fn chain(&self, chain: Chain);
}

/// What is asked.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Where to, `http` or `https`.
    pub url: &'a Url,
    /// Headers beside those that follow from everything else.
    pub headers: HeaderMap,
    /// Who we are.
    pub authorization: Option<&'a Authorization>,
    /// The body; empty is none.
    pub body: Bytes,
}

/// What the header `Authorization` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// User and password.
    Basic {
        /// Who.
        username: String,
        /// The proof.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

/// An answer whose head has been read.
#[derive(Debug)]
pub struct Answer(reqwest::Response);

impl Client {
    /// Sends a request over a new connection and reads the head of the answer.
    ///
    /// Redirects are answers like any other.
    ///
    /// # Errors
    /// No answer could be had; the reason says at what that failed.
    pub async fn send(
        &self,
        request: Request<'_>,
        route: &Route,
        observer: &Arc<dyn Observer>,
    ) -> Result<Answer, Failure> {
        let (Shown { url, host_header }, dial) = route.dial(request.url);
        let to_resolve = self.proxy_url().unwrap_or(&url).domain().is_some();
        let first =
            if to_resolve && dial.address.is_none() { Phase::Resolve } else { Phase::Connect };
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut prepared = reqwest::Request::new(request.method, url);
        *prepared.headers_mut() = request.headers;
        if let Some(host_header) = host_header {
            prepared.headers_mut().insert(header::HOST, host_header);
        }
        if !request.body.is_empty() {
            *prepared.body_mut() = Some(request.body.into());
        }
        if let Some(authorization) = request.authorization {
            prepared = self.authorize(prepared, authorization)?;
        }

        let run = Arc::new(Run::new(observer.clone(), dial));
        run.enter(first);
        let sent = hooks::RUN.scope(run.clone(), self.reqwest().execute(prepared)).await;
        let proxied = self.proxy_url().is_some();
        sent.map(Answer)
            .map_err(|error| failures::failure(error, &Scene { phase: run.phase(), host, proxied }))
    }

    fn authorize(
        &self,
        request: reqwest::Request,
        authorization: &Authorization,
    ) -> Result<reqwest::Request, Failure> {
        let builder = reqwest::RequestBuilder::from_parts(self.reqwest().clone(), request);
        let builder = match authorization {
            Authorization::Basic { username, password } => {
                builder.basic_auth(username, Some(password.expose()))
            }
            Authorization::Bearer(token) => builder.bearer_auth(token.expose()),
        };
        // The error is not kept as a cause: it may quote the token.
        builder.build().map_err(|_| {
            Failure::new(Reason::Config, "the credentials hold characters that no header can carry")
        })
    }
}

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// The next piece of the body, decompressed; `None` at its end.
    ///
    /// # Errors
    /// The body ended early or is not encoded as it says.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.0.chunk().await {
            Ok(chunk) => Ok(chunk),
            Err(error) => Err(failures::broken_body(error)),
        }
    }
}

/// What the hooks of a shared client need to know about the exchange that they are called for.
struct Run {
    observer: Arc<dyn Observer>,
    dial: route::Dial,
    phase: Mutex<Option<Phase>>,
}

impl Run {
    fn new(observer: Arc<dyn Observer>, dial: route::Dial) -> Self {
        Self { observer, dial, phase: Mutex::default() }
    }

    fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = Some(phase);
        self.observer.phase(phase);
    }

    fn phase(&self) -> Phase {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(Phase::Connect)
    }
}
