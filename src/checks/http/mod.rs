//! `http`: asks a URL and judges the answer.

mod assertions;
mod build;
mod client;
mod credentials;
mod headers;
mod json;
mod origin;
mod params;
mod patterns;
mod problems;
mod recorder;
mod redirects;
mod status;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use schemars::{Schema, SchemaGenerator};

use self::{
    assertions::Assertions, client::FreshClient, credentials::Credentials, params::HttpParams,
    recorder::Recorder, redirects::Hop, status::StatusSet,
};
use crate::{
    check::{Check, Kind, KindConfiguration, ProbeContext, Target},
    outcome::{Failure, Phase, Reason, Verdict, lossy},
    reading::ReadingDef,
    units::{ByteSize, Limits, Period},
    wire::http::{Answer, Authorization, Client, Observer, Request, Route, Url},
};

/// The row of the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "http",
    remote: true,
    reasons: &[
        Reason::Dns,
        Reason::Connect,
        Reason::Tls,
        Reason::Auth,
        Reason::Protocol,
        Reason::Status,
        Reason::Assertion,
        Reason::Threshold,
        Reason::BodyLimit,
        Reason::Config,
    ],
    phases: &[Phase::Resolve, Phase::Connect, Phase::Tls, Phase::Processing, Phase::Transfer],
    readings: &[
        STATUS_CODE,
        RESPONSE_SIZE,
        REDIRECTS,
        recorder::CERT_EXPIRY,
        recorder::VERIFIED,
        recorder::CERT_EXPIRY_THRESHOLD,
    ],
    configuration: Some(KindConfiguration { schema, build: build::build }),
};

const STATUS_CODE: ReadingDef = ReadingDef::gauge(
    "health_check_http_status_code",
    "Status of the answer that was judged, as of the last background run.",
    &[],
)
.only_in_full();
const RESPONSE_SIZE: ReadingDef = ReadingDef::gauge(
    "health_check_http_response_size_bytes",
    "Size of the body after decompression, as of the last background run.",
    &[],
)
.only_in_full();
const REDIRECTS: ReadingDef = ReadingDef::gauge(
    "health_check_http_redirects",
    "Redirects followed to the answer that was judged, as of the last background run.",
    &[],
)
.only_in_full();

/// Judging a larger body takes long enough to hold up the other checks of a worker.
const LARGE_BODY: usize = 64 << 10;

fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<HttpParams>()
}

struct Http {
    target: Target,
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    redirects: u8,
    status: StatusSet,
    assertions: Arc<Assertions>,
    max_body: ByteSize,
    cert_expiry: Option<Limits<Period>>,
    credentials: Credentials,
    client: FreshClient,
    route: Route,
}

#[async_trait]
impl Check for Http {
    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }

    async fn probe(&self, context: &ProbeContext) -> Result<Verdict, Failure> {
        let recorder = Arc::new(Recorder::new(context.clone(), self.cert_expiry));
        if self.url.scheme() == "https" {
            recorder.read_thresholds();
        }
        let result = self.ask(context, &recorder).await;
        if result.as_ref().is_err_and(|failure| failure.reason == Reason::Tls) {
            self.client.doubt();
        }
        result
    }
}

impl Http {
    async fn ask(
        &self,
        context: &ProbeContext,
        recorder: &Arc<Recorder>,
    ) -> Result<Verdict, Failure> {
        let client = self.client.current()?;
        let authorization = self.credentials.read()?;
        let observer: Arc<dyn Observer> = recorder.clone();
        let (mut answer, redirects) =
            self.follow(&client, authorization.as_ref(), &observer).await?;
        context.end_phase();
        let status = answer.status();
        context.read(&STATUS_CODE, &[], status.as_u16().into());
        context.read(&REDIRECTS, &[], redirects.into());
        context.detail("status_code", status.as_u16());
        context.detail("redirects", redirects);
        if !self.status.contains(status) {
            return Ok(self.unexpected(status, redirects));
        }
        let mut failures = Vec::new();
        self.assertions.judge_headers(answer.headers(), &mut failures);

        context.phase(Phase::Transfer);
        let Some((size, body)) = self.read_body(&mut answer).await? else {
            let message = format!("the body is larger than {}", self.max_body);
            return Ok(Verdict::unhealthy(Reason::BodyLimit, message));
        };
        context.end_phase();
        context.read(&RESPONSE_SIZE, &[], lossy(size));
        context.detail("response_size_bytes", size);
        failures.extend(self.judge_body(context, body).await?);
        let verdict =
            Verdict::unhealthy_if(!failures.is_empty(), Reason::Assertion, failures.join("; "));
        Ok(verdict.and(recorder.expiry_verdict()))
    }

    /// Sends the request and follows redirects, to the answer that is judged.
    async fn follow(
        &self,
        client: &Client,
        authorization: Option<&Authorization>,
        observer: &Arc<dyn Observer>,
    ) -> Result<(Answer, u8), Failure> {
        let mut hop = Hop::first(self.method.clone(), &self.url, !self.body.is_empty());
        let mut redirects = 0;
        loop {
            let request = Request {
                method: hop.method.clone(),
                url: &hop.url,
                headers: if hop.own_origin { self.headers.clone() } else { HeaderMap::new() },
                authorization: authorization.filter(|_| hop.own_origin),
                body: if hop.with_body { self.body.clone() } else { Bytes::new() },
            };
            let answer = client.send(request, &self.route, observer).await?;
            let status = answer.status();
            let location = answer.headers().get(header::LOCATION);
            let next = hop.next(&self.url, status, location);
            match next {
                Some(next) if redirects < self.redirects && !self.status.contains(status) => {
                    hop = next;
                    redirects += 1;
                }
                _ => return Ok((answer, redirects)),
            }
        }
    }

    /// Reads the body to its end and keeps it if somebody judges it; `None` when it is too large.
    async fn read_body(&self, answer: &mut Answer) -> Result<Option<(u64, Vec<u8>)>, Failure> {
        let keep = self.assertions.need_body();
        let (mut size, mut body) = (0, Vec::new());
        while let Some(chunk) = answer.chunk().await? {
            size += chunk.len() as u64;
            if size > self.max_body.0 {
                return Ok(None);
            }
            if keep {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(Some((size, body)))
    }

    async fn judge_body(
        &self,
        context: &ProbeContext,
        body: Vec<u8>,
    ) -> Result<Vec<String>, Failure> {
        if body.len() <= LARGE_BODY {
            return Ok(self.assertions.judge_body(&body));
        }
        let assertions = self.assertions.clone();
        context.blocking(move || assertions.judge_body(&body)).await
    }

    /// The verdict on a status that is not among those expected.
    fn unexpected(&self, status: StatusCode, redirects: u8) -> Verdict {
        let code = status.as_u16();
        let refused = match code {
            401 => "credentials are missing or refused",
            403 => "access is forbidden",
            407 => "the proxy wants other credentials",
            _ => {
                let note = match redirects {
                    0 if self.redirects == 0 && status.is_redirection() => {
                        " (redirects are not followed)".to_owned()
                    }
                    0 => String::new(),
                    1 => " after 1 redirect".to_owned(),
                    count => format!(" after {count} redirects"),
                };
                let message = format!("status {code}{note}, expected {}", self.status);
                return Verdict::unhealthy(Reason::Status, message);
            }
        };
        Verdict::unhealthy(Reason::Auth, format!("status {code}: {refused}"))
    }
}
