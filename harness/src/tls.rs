//! TLS on both sides: the hub's own certificate authority, and what clients trust.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::DistinguishedName as DistinguishedSubject;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use ring::digest;
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::OsRng;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring as ring_provider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime,
};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{
    Acceptor, ClientHello, ResolvesServerCert, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    self, CipherSuite, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tokio_rustls::server::TlsStream;
use twinspec_model::auth::Certificate;

use crate::trace::hex;

mod careless;

pub use careless::Carelessness;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring_provider::default_provider())
}

/// A certificate authority made for one hub, the hub's certificate, and whose device certificates
/// it takes.
pub struct Authority {
    ca_pem: String,
    hostname: String,
    signer: Arc<Signer>,
    server: Arc<ServerConfig>,
    device_authorities: Option<Arc<dyn ClientCertVerifier>>,
}

/// What is odd about the certificate that a hub shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// It comes from an authority that nobody was told of.
    UnknownAuthority,
    /// It is for another name.
    OtherName,
    /// It ended years ago.
    Expired,
    /// It is right, and large: it carries many names.
    Large,
}

impl Authority {
    /// Makes an authority and a server certificate for `hostname`, `localhost` and the loopback
    /// addresses, with `keys`. Certificates of the authorities in `device_authorities` (PEM) are
    /// trusted.
    ///
    /// # Errors
    /// When `hostname` is no DNS name or `device_authorities` is no PEM.
    pub fn new(
        hostname: &str,
        device_authorities: Option<&str>,
        keys: ServerKeys,
    ) -> io::Result<Self> {
        let ca_key = KeyPair::generate().map_err(io::Error::other)?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        ca.distinguished_name.push(DnType::CommonName, "twinspec reference hub CA");
        let ca_certificate = ca.self_signed(&ca_key).map_err(io::Error::other)?;
        let issuer = Issuer::new(ca, ca_key);

        let names = [hostname, "localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut server = CertificateParams::new(names).map_err(io::Error::other)?;
        server.distinguished_name.push(DnType::CommonName, hostname);
        server.use_authority_key_identifier_extension = true;
        let signer = Arc::new(Signer { server, issuer, ca: ca_certificate.der().clone() });
        let ecdsa = signer.sign(&KeyPair::generate().map_err(io::Error::other)?)?;
        let certificates =
            Certificates { signer: Arc::clone(&signer), keys, ecdsa, rsa: OnceLock::new() };
        let config = server_config(certificates)?;
        let device_authorities = match device_authorities {
            None => None,
            Some(pem) => Some(client_verifier(pem)?),
        };
        Ok(Self {
            ca_pem: ca_certificate.pem(),
            hostname: hostname.to_owned(),
            signer,
            server: Arc::new(config),
            device_authorities,
        })
    }

    /// The same hub with a certificate that is odd in one point.
    ///
    /// # Errors
    /// When no such certificate can be made.
    pub fn odd(&self, oddity: Oddity) -> io::Result<Self> {
        if oddity == Oddity::UnknownAuthority {
            return Self::new(&self.hostname, None, ServerKeys::EcdsaAndRsa);
        }
        let mut params = self.signer.server.clone();
        match oddity {
            Oddity::UnknownAuthority => {}
            Oddity::OtherName => {
                let names = ["another.twinspec.test".to_owned()];
                params.subject_alt_names =
                    CertificateParams::new(names).map_err(io::Error::other)?.subject_alt_names;
                params.distinguished_name.push(DnType::CommonName, "another.twinspec.test");
            }
            Oddity::Expired => {
                params.not_before = rcgen::date_time_ymd(2001, 1, 1);
                params.not_after = rcgen::date_time_ymd(2002, 1, 1);
            }
            Oddity::Large => {
                let names = (0..250).map(|number| format!("name-{number}.twinspec.test"));
                let more = CertificateParams::new(names.collect::<Vec<_>>());
                let more = more.map_err(io::Error::other)?.subject_alt_names;
                params.subject_alt_names.extend(more);
            }
        }
        let certificates = |key: &KeyPair| {
            let leaf = params.signed_by(key, &self.signer.issuer).map_err(io::Error::other)?;
            certified(vec![leaf.der().clone(), self.signer.ca.clone()], key)
        };
        let ecdsa = certificates(&KeyPair::generate().map_err(io::Error::other)?)?;
        let certificates = Certificates {
            signer: Arc::clone(&self.signer),
            keys: ServerKeys::EcdsaAlone,
            ecdsa,
            rsa: OnceLock::new(),
        };
        Ok(Self {
            ca_pem: self.ca_pem.clone(),
            hostname: self.hostname.clone(),
            signer: Arc::clone(&self.signer),
            server: Arc::new(server_config(certificates)?),
            device_authorities: None,
        })
    }

    /// What the hub needs to know of a client's certificate chain; `None` without one.
    #[must_use]
    pub fn certificate(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<Certificate> {
        let (leaf, intermediates) = chain?.split_first()?;
        let print = |algorithm| hex(digest::digest(algorithm, leaf).as_ref());
        let is_trusted = self.device_authorities.as_ref().is_some_and(|authorities| {
            authorities.verify_client_cert(leaf, intermediates, UnixTime::now()).is_ok()
        });
        Some(Certificate {
            sha1: print(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            sha256: print(&digest::SHA256),
            common_name: common_name(leaf),
            is_trusted,
        })
    }

    /// The authority's certificate for clients, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Shakes hands with a client.
    ///
    /// # Errors
    /// When the client breaks off or agrees to nothing that the hub offers.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if needs_rsa(&start.client_hello()) {
            // Elsewhere: meanwhile, this thread has other clients to serve.
            tokio::task::spawn_blocking(rsa_key).await.map_err(io::Error::other)?;
        }
        start.into_stream(Arc::clone(&self.server)).await
    }
}

/// Which keys a hub has for its own certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKeys {
    /// ECDSA, and RSA for clients that offer nothing else (HUB-CONN-006).
    EcdsaAndRsa,
    /// ECDSA, whatever a client offers.
    EcdsaAlone,
}

/// Signs the hub's own certificates.
struct Signer {
    server: CertificateParams,
    issuer: Issuer<'static, KeyPair>,
    ca: CertificateDer<'static>,
}

impl Signer {
    fn sign(&self, key: &KeyPair) -> io::Result<Arc<CertifiedKey>> {
        let leaf = self.server.signed_by(key, &self.issuer).map_err(io::Error::other)?;
        certified(vec![leaf.der().clone(), self.ca.clone()], key)
    }
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> io::Result<Arc<CertifiedKey>> {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider().key_provider.load_private_key(der).map_err(io::Error::other)?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

fn server_config(certificates: Certificates) -> io::Result<ServerConfig> {
    Ok(ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_client_cert_verifier(Arc::new(AnyClient(provider())))
        .with_cert_resolver(Arc::new(certificates)))
}

/// Chooses the certificate for a client; the one with an RSA key is made for the first client that
/// needs it.
struct Certificates {
    signer: Arc<Signer>,
    keys: ServerKeys,
    ecdsa: Arc<CertifiedKey>,
    rsa: OnceLock<Option<Arc<CertifiedKey>>>,
}

/// The suites with which an ECDSA certificate serves.
const ECDSA_SUITES: &[CipherSuite] = &[
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
];

const RSA_BITS: usize = 2048;

/// Makes the RSA key of all hubs in this process, unless it is there: that takes long, few clients
/// need it, and none minds whose it is. `None` when no key can be made.
pub fn rsa_key() -> Option<&'static KeyPair> {
    static KEY: OnceLock<Option<KeyPair>> = OnceLock::new();
    let make = || {
        let key = RsaPrivateKey::new(&mut OsRng, RSA_BITS).ok()?.to_pkcs8_der().ok()?;
        KeyPair::try_from(key.as_bytes()).ok()
    };
    KEY.get_or_init(make).as_ref()
}

/// Whether a client takes no certificate with an ECDSA key.
fn needs_rsa(hello: &ClientHello<'_>) -> bool {
    !hello.cipher_suites().iter().any(|suite| ECDSA_SUITES.contains(suite))
}

impl Certificates {
    fn rsa(&self) -> Option<Arc<CertifiedKey>> {
        self.rsa.get_or_init(|| self.signer.sign(rsa_key()?).ok()).clone()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Certificates").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.keys {
            ServerKeys::EcdsaAndRsa if needs_rsa(&hello) => self.rsa(),
            ServerKeys::EcdsaAndRsa | ServerKeys::EcdsaAlone => Some(Arc::clone(&self.ecdsa)),
        }
    }
}

fn common_name(leaf: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

fn client_verifier(pem: &str) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    builder.build().map_err(io::Error::other)
}

/// Lets every client certificate through the handshake, as long as the client holds its key: which
/// identity it proves is the model's business.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A client certificate with its key, for a device that proves itself by X.509.
#[derive(Debug)]
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl ClientCertificate {
    /// A self-signed certificate.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn self_signed(common_name: &str) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = named(common_name).self_signed(&key).map_err(io::Error::other)?;
        Ok(Self { chain: vec![certificate.der().clone()], key: key.serialize_der() })
    }

    /// The certificate's SHA-256 fingerprint, upper-case hex.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let leaf = self.chain.first().map(AsRef::as_ref).unwrap_or_default();
        hex(digest::digest(&digest::SHA256, leaf).as_ref()).to_ascii_uppercase()
    }
}

/// An authority that signs device certificates.
pub struct DeviceAuthority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl DeviceAuthority {
    /// A new authority.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut ca = named("twinspec device CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = ca.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Self { pem, issuer: Issuer::new(ca, key) })
    }

    /// An authority that exists already.
    ///
    /// # Errors
    /// When `certificate` is no PEM certificate of an authority, `key` is no PEM key, or the two do
    /// not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> io::Result<Self> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let key = KeyPair::from_pem(key)
            .map_err(|error| invalid(format!("the key is unusable: {error}")))?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| invalid(format!("the certificate is no PEM: {error}")))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| invalid(format!("the certificate is unreadable: {error}")))?;
        if !parsed.is_ca() {
            return Err(invalid("the certificate is not that of an authority".to_owned()));
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(invalid("the key is not that of the certificate".to_owned()));
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|e| invalid(e.to_string()))?;
        Ok(Self { pem: certificate.to_owned(), issuer })
    }

    /// The authority's own certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a new certificate for `common_name`.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn sign(&self, common_name: &str) -> io::Result<ClientCertificate> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = named(common_name);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        Ok(ClientCertificate { chain: vec![certificate.der().clone()], key: key.serialize_der() })
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedSubject::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// A suite of TLS 1.2 that needs an RSA certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaSuite {
    /// `ECDHE-RSA-AES128-GCM-SHA256`.
    Aes128Gcm,
    /// `ECDHE-RSA-AES256-GCM-SHA384`.
    Aes256Gcm,
}

/// Whom a client trusts.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Trusts the authorities in `pem` only.
    ///
    /// # Errors
    /// When `pem` holds no certificate.
    pub fn authorities(pem: &[u8]) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(io::Error::other)?;
            roots.add(certificate).map_err(io::Error::other)?;
        }
        if roots.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no PEM certificate"));
        }
        Self::roots(roots)
    }

    /// Trusts the authorities in the PEM file at `path` only.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate; the message names the file.
    pub fn file(path: &Path) -> io::Result<Self> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        std::fs::read(path).and_then(|pem| Self::authorities(&pem)).map_err(named)
    }

    /// Trusts what this machine trusts.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn machine() -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::roots(roots)
    }

    /// The client configuration.
    #[must_use]
    pub fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The same trust for a client that shows `certificate`.
    ///
    /// # Errors
    /// When the certificate's key cannot be used.
    pub fn with_certificate(&self, certificate: &ClientCertificate) -> io::Result<Self> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.key.clone()));
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(certificate.chain.clone(), key)
            .map_err(io::Error::other)?;
        Ok(Self { roots: Arc::clone(&self.roots), config: Arc::new(config) })
    }

    /// The same trust for a client that offers TLS 1.2 and one suite only.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_suite(&self, suite: RsaSuite) -> io::Result<Self> {
        let mut provider = ring_provider::default_provider();
        let wanted = match suite {
            RsaSuite::Aes128Gcm => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            RsaSuite::Aes256Gcm => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        };
        provider.cipher_suites.retain(|suite| suite.suite() == wanted);
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .map_err(io::Error::other)?
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        Ok(Self { roots: Arc::clone(&self.roots), config: Arc::new(config) })
    }

    fn roots(roots: RootCertStore) -> io::Result<Self> {
        let roots = Arc::new(roots);
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(Arc::clone(&roots))
            .with_no_client_auth();
        Ok(Self { roots, config: Arc::new(config) })
    }
}
