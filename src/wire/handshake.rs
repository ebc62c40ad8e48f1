//! What went wrong with a TLS handshake, in our words.

use rustls::{AlertDescription, CertificateError, OtherError};

/// A sentence about why the handshake with `host` failed.
pub(super) fn explain(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate(error, host),
        rustls::Error::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        rustls::Error::AlertReceived(alert) => alert_received(*alert, host),
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
            "the server offers no TLS version or cipher that we accept".to_owned()
        }
        rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. } => {
            "the server does not speak TLS on this port".to_owned()
        }
        _ => "the TLS handshake failed".to_owned(),
    }
}

fn certificate(error: &CertificateError, host: &str) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not yet valid")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is for another host than {host}")
        }
        CertificateError::UnknownIssuer => {
            format!("the certificate of {host} comes from an issuer that is not trusted")
        }
        CertificateError::Revoked => format!("the certificate of {host} has been revoked"),
        CertificateError::BadSignature => {
            format!("the certificate of {host} is not signed by the issuer it names")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("the certificate of {host} is not meant for servers")
        }
        CertificateError::Other(other) if is_authority(other) => {
            format!(
                "the certificate of {host} is made for an authority (CA:TRUE), not for a server"
            )
        }
        _ => format!("the certificate of {host} cannot be accepted"),
    }
}

/// What `openssl req -x509` makes unless it is told otherwise.
fn is_authority(error: &OtherError) -> bool {
    matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

fn alert_received(alert: AlertDescription, host: &str) -> String {
    match alert {
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => {
            "the server accepts no TLS version or cipher that we offer".to_owned()
        }
        AlertDescription::CertificateRequired => "the server wants a client certificate".to_owned(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            "the server refused our client certificate, or the lack of one".to_owned()
        }
        AlertDescription::UnrecognisedName => format!("the server knows no host {host}"),
        _ => "the server broke off the TLS handshake".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_blamed_for_what_is_wrong_with_it() {
        let expired = explain(&CertificateError::Expired.into(), "db.internal");
        assert_eq!(expired, "the certificate of db.internal has expired");
        let refused = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(explain(&refused, "db.internal"), "the server wants a client certificate");
    }
}
