//! Which representation a client prefers.

use actix_web::{
    HttpRequest,
    http::header::{self, Accept, AcceptEncoding, Encoding, Header, Preference},
};

use crate::metrics::Format;

/// The media ranges that the client accepts, the most wanted first.
fn accepted(request: &HttpRequest) -> Vec<actix_web::mime::Mime> {
    let Ok(mut accept) = Accept::parse(request) else { return Vec::new() };
    accept.0.retain(|range| range.quality > header::q(0.0));
    accept.ranked()
}

/// The exposition format that the client wants most; the text format when in doubt.
pub(super) fn exposition(request: &HttpRequest) -> Format {
    let wanted = accepted(request).into_iter().find_map(|range| match range.essence_str() {
        "application/openmetrics-text" => match range
            .get_param("version")
            .map(|value| value.as_str().to_owned())
        {
            None => Some(Format::OpenMetrics),
            Some(version) if version == "1.0.0" || version == "0.0.1" => Some(Format::OpenMetrics),
            Some(_) => None,
        },
        "text/plain" | "text/*" | "*/*" => Some(Format::Text),
        _ => None,
    });
    wanted.unwrap_or(Format::Text)
}

/// The forms of a health document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HealthFormat {
    /// Our own JSON.
    Json,
    /// `application/health+json`.
    HealthJson,
    /// Lines of text.
    Text,
}

/// The form of the health document that the client wants most; JSON when in doubt.
pub(super) fn health(request: &HttpRequest) -> HealthFormat {
    let wanted = accepted(request).into_iter().find_map(|range| match range.essence_str() {
        "application/json" | "application/*" | "*/*" => Some(HealthFormat::Json),
        "application/health+json" => Some(HealthFormat::HealthJson),
        "text/plain" => Some(HealthFormat::Text),
        _ => None,
    });
    wanted.unwrap_or(HealthFormat::Json)
}

/// Whether the client can read gzip.
pub(super) fn gzip(request: &HttpRequest) -> bool {
    if !request.headers().contains_key(header::ACCEPT_ENCODING) {
        return false;
    }
    let Ok(accepted) = AcceptEncoding::parse(request) else { return false };
    let quality = |wanted: &Preference<Encoding>| {
        accepted.iter().find(|item| item.item == *wanted).map(|item| item.quality)
    };
    let gzip = quality(&Preference::Specific(Encoding::gzip()));
    gzip.or_else(|| quality(&Preference::Any)).is_some_and(|quality| quality > header::q(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn request(name: &str, value: &str) -> HttpRequest {
        TestRequest::default().insert_header((name, value)).to_http_request()
    }

    #[test]
    fn the_most_wanted_exposition_format_is_chosen() {
        for (accept, format) in [
            ("*/*", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.9",
                Format::Text,
            ),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;\
                 escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("nonsense;;;", Format::Text),
            ("image/png", Format::Text),
        ] {
            assert_eq!(exposition(&request("accept", accept)), format, "{accept}");
        }
        assert_eq!(exposition(&TestRequest::default().to_http_request()), Format::Text);
    }

    #[test]
    fn gzip_is_used_only_when_it_is_accepted() {
        for (accept, expected) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(gzip(&request("accept-encoding", accept)), expected, "{accept}");
        }
        assert!(!gzip(&TestRequest::default().to_http_request()));
    }

    #[test]
    fn health_is_json_unless_something_else_is_asked_for() {
        for (accept, format) in [
            ("*/*", HealthFormat::Json),
            ("text/html,application/xhtml+xml,*/*;q=0.8", HealthFormat::Json),
            ("application/health+json", HealthFormat::HealthJson),
            ("text/plain", HealthFormat::Text),
            ("text/plain;q=0.1, application/json", HealthFormat::Json),
            ("application/health+json;q=0", HealthFormat::Json),
        ] {
            assert_eq!(health(&request("accept", accept)), format, "{accept}");
        }
    }
}
