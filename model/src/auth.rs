//! SAS tokens, shared access policies and their rights (hub-auth.md).

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::time::Time;
use crate::wire::percent;

/// How far the clocks of device and hub may differ; SharedAccessSignatureConstants.cs.
pub const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// What every token starts with.
const PREFIX: &str = "SharedAccessSignature ";

/// A parsed SAS token. Nothing is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SasToken {
    /// `sr` as it came: the signature covers exactly this text.
    signed_resource: String,
    /// `sr` decoded: host and path.
    pub resource: String,
    /// `se` as it came.
    signed_expiry: String,
    /// `se`: when the token ends.
    pub expiry: Time,
    /// `sig`, decoded.
    signature: Vec<u8>,
    /// `skn`, decoded: the policy whose key signed; absent for identity keys.
    pub policy: Option<String>,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SasError {
    /// It cannot be read.
    Malformed(&'static str),
    /// No known key made the signature.
    Signature,
    /// It has ended.
    Expired,
    /// It names another resource.
    Scope,
}

impl fmt::Display for SasError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(formatter, "malformed token: {what}"),
            Self::Signature => formatter.write_str("the signature matches no key"),
            Self::Expired => formatter.write_str("the token has expired"),
            Self::Scope => formatter.write_str("the token is for another resource"),
        }
    }
}

impl std::error::Error for SasError {}

impl SasToken {
    /// Reads a token; fields may come in any order and their names in any case (HUB-AUTH-003).
    ///
    /// # Errors
    /// [`SasError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, SasError> {
        let fields =
            text.strip_prefix(PREFIX).ok_or(SasError::Malformed("no SharedAccessSignature"))?;
        let field = |name: &str| {
            let mut pairs = fields.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let decoded = |text: &str| percent::decode(text).ok_or(SasError::Malformed("bad escape"));
        let signed_resource = field("sr").ok_or(SasError::Malformed("sr is missing"))?;
        let signed_expiry = field("se").ok_or(SasError::Malformed("se is missing"))?;
        if !signed_expiry.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SasError::Malformed("se is no number of seconds"));
        }
        let seconds: u64 =
            signed_expiry.parse().map_err(|_| SasError::Malformed("se is no number of seconds"))?;
        if seconds == 0 {
            return Err(SasError::Malformed("se is zero"));
        }
        let signature = decoded(field("sig").ok_or(SasError::Malformed("sig is missing"))?)?;
        let signature =
            STANDARD.decode(signature).map_err(|_| SasError::Malformed("sig is not base64"))?;
        Ok(Self {
            signed_resource: signed_resource.to_owned(),
            resource: decoded(signed_resource)?,
            signed_expiry: signed_expiry.to_owned(),
            expiry: Time::from_unix_seconds(seconds),
            signature,
            policy: field("skn").filter(|name| !name.is_empty()).map(decoded).transpose()?,
        })
    }

    /// Checks signature, expiry and scope, in this order.
    ///
    /// `keys` are base64; any of them may have signed. `resource` is host and path of what is
    /// accessed.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(&self, keys: &[&str], resource: &str, now: Time) -> Result<(), SasError> {
        if !keys.iter().any(|key| self.signed_by(key)) {
            return Err(SasError::Signature);
        }
        if self.ended(now) {
            return Err(SasError::Expired);
        }
        if covers(&self.resource, resource) { Ok(()) } else { Err(SasError::Scope) }
    }

    /// Checks a device's own token: like [`Self::verify`], but the token must name the identity, and
    /// tools may have written more levels behind it (A-H42), as long as they name no module.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify_own(&self, keys: &[&str], resource: &str, now: Time) -> Result<(), SasError> {
        let longer = covers(resource, &self.resource)
            && !self.resource.get(resource.len()..).is_some_and(|r| r.starts_with("/modules/"));
        match self.verify(keys, &self.resource, now) {
            Ok(()) if longer => Ok(()),
            Ok(()) => Err(SasError::Scope),
            Err(error) => Err(error),
        }
    }

    /// Whether the token's scope covers `resource`, host and path of what is accessed.
    #[must_use]
    pub fn covers(&self, resource: &str) -> bool {
        covers(&self.resource, resource)
    }

    /// Whether the token has ended at `now`, clock differences allowed for.
    #[must_use]
    pub fn ended(&self, now: Time) -> bool {
        now > self.expiry.after(CLOCK_SKEW)
    }

    fn signed_by(&self, key: &str) -> bool {
        let Ok(key) = STANDARD.decode(key) else {
            return false;
        };
        let signed = format!("{}\n{}", self.signed_resource, self.signed_expiry);
        mac(&key, &signed).is_some_and(|mac| mac.verify_slice(&self.signature).is_ok())
    }
}

/// Makes a token for `resource` (plain text) with a base64 `key`; `None` when the key is no base64.
#[must_use]
pub fn sign(key: &str, resource: &str, expiry: Time, policy: Option<&str>) -> Option<String> {
    let resource = percent::encode(resource);
    let expiry = expiry.unix_seconds();
    let signature = percent::encode(&signature(key, &format!("{resource}\n{expiry}"))?);
    let policy = policy.map_or(String::new(), |name| format!("&skn={}", percent::encode(name)));
    Some(format!("{PREFIX}sr={resource}&sig={signature}&se={expiry}{policy}"))
}

/// The signature of `text` with a base64 `key`, base64: what `sig` holds before it is escaped;
/// `None` when the key is no base64.
#[must_use]
pub fn signature(key: &str, text: &str) -> Option<String> {
    let key = STANDARD.decode(key).ok()?;
    Some(STANDARD.encode(mac(&key, text)?.finalize().into_bytes()))
}

fn mac(key: &[u8], text: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// Whether `scope` covers `resource`: a prefix by whole path segments (HUB-AUTH-009), the host
/// compared without case and port, the path with case.
fn covers(scope: &str, resource: &str) -> bool {
    let split = |text: &str| match text.split_once('/') {
        Some((host, path)) => (host.to_owned(), path.to_owned()),
        None => (text.to_owned(), String::new()),
    };
    let ((scope_host, scope_path), (host, path)) = (split(scope), split(resource));
    let scope_path = scope_path.strip_suffix('/').unwrap_or(&scope_path);
    let rest = path.strip_prefix(scope_path);
    same_host(&scope_host, &host)
        && (scope_path.is_empty() || rest.is_some_and(|r| r.is_empty() || r.starts_with('/')))
}

/// Whether two host names are the same hub: without case, and without the port that some SDKs
/// carry along (sdk-wire-facts.md, Python service).
#[must_use]
pub fn same_host(left: &str, right: &str) -> bool {
    let bare = |host: &str| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.to_ascii_lowercase(),
        _ => host.to_ascii_lowercase(),
    };
    bare(left) == bare(right)
}

/// A client certificate as the TLS layer saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-1 fingerprint, lower-case hex.
    pub sha1: String,
    /// SHA-256 fingerprint, lower-case hex.
    pub sha256: String,
    /// Common name of the subject.
    pub common_name: Option<String>,
    /// Whether it chains up to an authority that is registered with the hub.
    pub is_trusted: bool,
}

/// What a policy allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Device-facing endpoints.
    DeviceConnect,
    /// Reading the identity registry.
    RegistryRead,
    /// Changing the identity registry.
    RegistryWrite,
    /// Twins, methods, queries, jobs.
    ServiceConnect,
}

/// A shared access policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, `skn` in tokens.
    pub name: String,
    /// Primary key, base64.
    pub primary_key: String,
    /// Secondary key, base64.
    pub secondary_key: String,
    /// What it allows.
    pub permissions: Vec<Permission>,
}

/// Names and rights of the policies every hub has; iot-hub-dev-guide-sas.md § IoT hub-level shared
/// access policies.
pub const DEFAULT_POLICIES: &[(&str, &[Permission])] = &[
    (
        "iothubowner",
        &[
            Permission::RegistryRead,
            Permission::RegistryWrite,
            Permission::ServiceConnect,
            Permission::DeviceConnect,
        ],
    ),
    ("service", &[Permission::ServiceConnect]),
    ("device", &[Permission::DeviceConnect]),
    ("registryRead", &[Permission::RegistryRead]),
    ("registryReadWrite", &[Permission::RegistryRead, Permission::RegistryWrite]),
];

/// Whether `key` can be a symmetric key: base64 of 16 to 64 bytes (hub-auth.md § 4).
#[must_use]
pub fn is_key(key: &str) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| (16..=64).contains(&bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn now() -> Time {
        Time::from_unix_seconds(1_900_000_000)
    }

    fn token(resource: &str) -> SasToken {
        let text = sign(KEY, resource, now().after(Duration::from_secs(60)), None).unwrap();
        SasToken::parse(&text).unwrap()
    }

    #[test]
    fn a_token_opens_what_it_names_and_what_lies_below() {
        let token = token("hub.example/devices/ab");
        assert_eq!(token.verify(&[KEY], "HUB.example/devices/ab", now()), Ok(()));
        assert_eq!(token.verify(&[KEY], "hub.example/devices/ab/modules/m", now()), Ok(()));
        let neighbour = token.verify(&[KEY], "hub.example/devices/abc", now());
        assert_eq!(neighbour, Err(SasError::Scope));
    }

    #[test]
    fn an_expiry_is_written_in_digits_only() {
        for expiry in ["+1900000000", "-1", "1e9", "", " 1900000000"] {
            let text = format!("{PREFIX}sr=h&sig=AAAA&se={expiry}");
            let parsed = SasToken::parse(&text).map(|token| token.expiry);
            assert_eq!(parsed, Err(SasError::Malformed("se is no number of seconds")), "{text}");
        }
        assert!(SasToken::parse(&format!("{PREFIX}sr=h&sig=AAAA&se=1900000000")).is_ok());
    }

    #[test]
    fn a_token_ends_with_its_expiry_and_the_skew() {
        let token = token("hub.example");
        let end = token.expiry.after(CLOCK_SKEW);
        assert_eq!(token.verify(&[KEY], "hub.example/twins/d", end), Ok(()));
        let later = end.after(Duration::from_secs(1));
        assert_eq!(token.verify(&[KEY], "hub.example/twins/d", later), Err(SasError::Expired));
    }

    #[test]
    fn another_key_does_not_open() {
        let other = STANDARD.encode([7; 32]);
        assert_eq!(token("h").verify(&[&other], "h", now()), Err(SasError::Signature));
    }
}
