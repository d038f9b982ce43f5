//! Clients that do not look closely at a hub's certificate: what an agent must not be.

use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
};

use super::{Trust, provider};

/// What a client does wrong with certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carelessness {
    /// It takes certificates of any authority.
    Authority,
    /// It takes certificates for any name.
    Name,
    /// It takes certificates that have expired.
    Validity,
    /// It takes none above this size in bytes.
    Size(usize),
}

impl Trust {
    /// The same trust for a client that is careless.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn careless(&self, carelessness: Carelessness) -> io::Result<Self> {
        let right =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider());
        let verifier = Careless { right: right.build().map_err(io::Error::other)?, carelessness };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self { roots: Arc::clone(&self.roots), config: Arc::new(config) })
    }
}

#[derive(Debug)]
struct Careless {
    right: Arc<WebPkiServerVerifier>,
    carelessness: Carelessness,
}

impl ServerCertVerifier for Careless {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.right.verify_server_cert(leaf, intermediates, name, stapled, now);
        let flaw = match &judged {
            Err(Error::InvalidCertificate(flaw)) => Some(flaw),
            _ => None,
        };
        let is_forgiven = match self.carelessness {
            Carelessness::Size(max) if leaf.len() > max => {
                return Err(Error::General(format!("a certificate above {max} bytes")));
            }
            Carelessness::Size(_) => false,
            // An authority of the same name with another key has made a bad signature.
            Carelessness::Authority => matches!(
                flaw,
                Some(CertificateError::UnknownIssuer | CertificateError::BadSignature)
            ),
            Carelessness::Name => matches!(
                flaw,
                Some(
                    CertificateError::NotValidForName
                        | CertificateError::NotValidForNameContext { .. }
                )
            ),
            Carelessness::Validity => matches!(
                flaw,
                Some(CertificateError::Expired | CertificateError::ExpiredContext { .. })
            ),
        };
        if is_forgiven { Ok(ServerCertVerified::assertion()) } else { judged }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.right.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.right.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.right.supported_verify_schemes()
    }
}
