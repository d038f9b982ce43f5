//! The identity registry: devices, modules and how they authenticate (hub-http.md § 2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::auth::{self, Certificate};
use crate::error::{ErrorCode, Refusal};
use crate::identity::{Identity, id_error};
use crate::time::{Time, or_never};

/// The longest `statusReason`, in characters.
const STATUS_REASON_LENGTH_MAX: usize = 128;

/// Modules a device may have (HUB-REG-026).
pub const MODULES_PER_DEVICE_MAX: usize = 50;

/// What the registry knows of one identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Who it is.
    pub identity: Identity,
    /// Differs between two lives of one id (HUB-REG-012).
    pub generation_id: String,
    /// The number behind `etag`.
    pub etag_number: u64,
    /// Everything a PUT may set.
    pub settings: Settings,
    /// When `status` last changed.
    pub status_updated: Option<Time>,
    /// Whether the identity has an MQTT connection.
    pub connected: bool,
    /// When `connected` last changed.
    pub connection_updated: Option<Time>,
    /// When the identity last connected or sent something.
    pub last_activity: Option<Time>,
}

/// What a PUT sets on an identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether the identity may connect.
    pub enabled: bool,
    /// Why the status is what it is.
    pub status_reason: Option<String>,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// `capabilities.iotEdge`.
    pub edge: bool,
    /// The scope of an Edge device, or of the Edge device a leaf belongs to.
    pub device_scope: Option<String>,
    /// The scopes of the parents.
    pub parent_scopes: Vec<String>,
    /// Who looks after a module, in its back end's words; devices have none.
    pub managed_by: Option<String>,
}

/// How an identity proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// `sas`: symmetric keys, base64.
    Sas {
        /// Primary key.
        primary: String,
        /// Secondary key.
        secondary: String,
    },
    /// `selfSigned`: certificate fingerprints, hex.
    SelfSigned {
        /// Primary thumbprint.
        primary: Option<String>,
        /// Secondary thumbprint.
        secondary: Option<String>,
    },
    /// `certificateAuthority`: a certificate of a registered authority.
    CertificateAuthority,
    /// `none`.
    None,
}

impl Authentication {
    /// The name of the type in registry and twin.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sas { .. } => "sas",
            Self::SelfSigned { .. } => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
            Self::None => "none",
        }
    }

    /// The symmetric keys, base64.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        match self {
            Self::Sas { primary, secondary } => vec![primary, secondary],
            Self::SelfSigned { .. } | Self::CertificateAuthority | Self::None => Vec::new(),
        }
    }

    /// `x509Thumbprint` of registry and twin.
    #[must_use]
    pub fn thumbprints(&self) -> Value {
        let (primary, secondary) = match self {
            Self::SelfSigned { primary, secondary } => (primary.clone(), secondary.clone()),
            Self::Sas { .. } | Self::CertificateAuthority | Self::None => (None, None),
        };
        json!({ "primaryThumbprint": primary, "secondaryThumbprint": secondary })
    }

    /// Whether `certificate` proves that its holder is `identity` (hub-auth.md § 5).
    #[must_use]
    pub fn is_proved_by(&self, identity: &Identity, certificate: &Certificate) -> bool {
        match self {
            Self::SelfSigned { primary, secondary } => {
                let prints = [primary, secondary].into_iter().flatten();
                prints
                    .map(|print| print.to_ascii_lowercase())
                    .any(|print| print == certificate.sha256 || print == certificate.sha1)
            }
            Self::CertificateAuthority => {
                certificate.is_trusted
                    && certificate.common_name.as_ref() == Some(&identity.to_string())
            }
            Self::Sas { .. } | Self::None => false,
        }
    }

    fn to_json(&self) -> Value {
        let keys = match self {
            Self::Sas { primary, secondary } => (Some(primary), Some(secondary)),
            Self::SelfSigned { .. } | Self::CertificateAuthority | Self::None => (None, None),
        };
        json!({
            "type": self.name(),
            "symmetricKey": { "primaryKey": keys.0, "secondaryKey": keys.1 },
            "x509Thumbprint": self.thumbprints(),
        })
    }
}

impl Record {
    /// `etag` as text: base64 of a decimal number, as the service writes it.
    #[must_use]
    pub fn etag(&self) -> String {
        STANDARD.encode(self.etag_number.to_string())
    }

    /// `enabled` or `disabled`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        if self.settings.enabled { "enabled" } else { "disabled" }
    }

    /// `Connected` or `Disconnected`.
    #[must_use]
    pub fn connection_state(&self) -> &'static str {
        if self.connected { "Connected" } else { "Disconnected" }
    }

    /// The Device or Module object of the registry API; `messages` wait for it.
    #[must_use]
    pub fn to_json(&self, messages: usize) -> Value {
        let mut object = json!({
            "deviceId": self.identity.device,
            "generationId": self.generation_id,
            "etag": self.etag(),
            "connectionState": self.connection_state(),
            "connectionStateUpdatedTime": or_never(self.connection_updated),
            "lastActivityTime": or_never(self.last_activity),
            "cloudToDeviceMessageCount": messages,
            "authentication": self.settings.authentication.to_json(),
        });
        let rest = match &self.identity.module {
            Some(module) => {
                json!({ "moduleId": module, "managedBy": self.settings.managed_by })
            }
            None => json!({
                "status": self.status(),
                "statusReason": self.settings.status_reason,
                "statusUpdatedTime": or_never(self.status_updated),
                "capabilities": { "iotEdge": self.settings.edge },
                "deviceScope": self.settings.device_scope,
                "parentScopes": self.settings.parent_scopes,
            }),
        };
        if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
            object.extend(rest);
        }
        object
    }
}

/// What a PUT body asks for; keys that are missing or empty are to be generated (HUB-REG-003).
#[derive(Clone, Debug, PartialEq)]
pub struct SettingsRequest {
    /// The settings, with empty keys where the hub must make them.
    pub settings: Settings,
}

impl SettingsRequest {
    /// Reads a PUT body for `identity`; unknown and read-only members are ignored.
    ///
    /// # Errors
    /// [`ErrorCode::ArgumentInvalid`] naming the member, what it held and what it may hold.
    pub fn from_body(identity: &Identity, body: &Value) -> Result<Self, Refusal> {
        let Value::Object(body) = body else {
            return Err(Refusal::invalid("The identity must be a JSON object"));
        };
        check_id(body, "deviceId", &identity.device)?;
        if let Some(module) = &identity.module {
            check_id(body, "moduleId", module)?;
        }
        let enabled = match text(body, "status")? {
            None => true,
            Some(status) if status.eq_ignore_ascii_case("enabled") => true,
            Some(status) if status.eq_ignore_ascii_case("disabled") => false,
            Some(other) => {
                return Err(Refusal::invalid(format!(
                    "status is {other:?}, allowed are enabled and disabled"
                )));
            }
        };
        let status_reason = text(body, "statusReason")?.map(str::to_owned);
        if status_reason.as_ref().is_some_and(|r| r.chars().count() > STATUS_REASON_LENGTH_MAX) {
            return Err(Refusal::invalid(format!(
                "statusReason is longer than {STATUS_REASON_LENGTH_MAX} characters"
            )));
        }
        let edge = body.get("capabilities").and_then(|c| c.get("iotEdge")) == Some(&json!(true));
        let authentication = authentication(body.get("authentication"))?;
        let device_scope = text(body, "deviceScope")?.filter(|scope| !scope.is_empty());
        let scopes = body.get("parentScopes").and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            settings: Settings {
                enabled,
                status_reason,
                authentication,
                edge,
                device_scope: device_scope.map(str::to_owned),
                parent_scopes: scopes.filter_map(Value::as_str).map(str::to_owned).collect(),
                managed_by: text(body, "managedBy")?.map(str::to_owned),
            },
        })
    }
}

/// Refuses an id the registry cannot take (HUB-REG-014).
///
/// # Errors
/// [`ErrorCode::ArgumentInvalid`].
pub fn check_new_identity(identity: &Identity) -> Result<(), Refusal> {
    let ids = [Some(&identity.device), identity.module.as_ref()];
    match ids.into_iter().flatten().find_map(|id| id_error(id)) {
        None => Ok(()),
        Some(problem) => Err(Refusal::invalid(format!("Invalid id: {problem}"))),
    }
}

/// The refusal for an identity that does not exist.
#[must_use]
pub fn not_found(identity: &Identity) -> Refusal {
    match &identity.module {
        None => Refusal::new(ErrorCode::DeviceNotFound, identity.device.clone()),
        Some(module) => {
            Refusal::new(ErrorCode::ModuleNotFound, format!("{}/{module}", identity.device))
        }
    }
}

fn check_id(body: &Map<String, Value>, member: &str, expected: &str) -> Result<(), Refusal> {
    match text(body, member)? {
        Some(id) if id != expected => Err(Refusal::invalid(format!(
            "{member} is {id:?} in the body and {expected:?} in the path"
        ))),
        _ => Ok(()),
    }
}

fn text<'a>(body: &'a Map<String, Value>, member: &str) -> Result<Option<&'a str>, Refusal> {
    match body.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::invalid(format!("{member} must be a string"))),
    }
}

fn authentication(value: Option<&Value>) -> Result<Authentication, Refusal> {
    let empty = Map::new();
    let object = match value {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(object)) => object,
        Some(_) => return Err(Refusal::invalid("authentication must be a JSON object")),
    };
    let part = |name: &str| object.get(name).and_then(Value::as_object).unwrap_or(&empty);
    let (keys, prints) = (part("symmetricKey"), part("x509Thumbprint"));
    let owned = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    let primary_print = owned(text(prints, "primaryThumbprint")?);
    let secondary_print = owned(text(prints, "secondaryThumbprint")?);
    let kind = text(object, "type")?.map(str::to_ascii_lowercase);
    match kind.as_deref() {
        None if primary_print.is_some() || secondary_print.is_some() => {
            Ok(Authentication::SelfSigned { primary: primary_print, secondary: secondary_print })
        }
        None | Some("sas") => Ok(Authentication::Sas {
            primary: key(text(keys, "primaryKey")?)?,
            secondary: key(text(keys, "secondaryKey")?)?,
        }),
        Some("selfsigned") => {
            Ok(Authentication::SelfSigned { primary: primary_print, secondary: secondary_print })
        }
        Some("certificateauthority") => Ok(Authentication::CertificateAuthority),
        Some("none") => Ok(Authentication::None),
        Some(other) => Err(Refusal::invalid(format!(
            "authentication.type is {other:?}, allowed are sas, selfSigned, certificateAuthority \
             and none"
        ))),
    }
}

/// A given key, or the empty text where the hub must make one.
fn key(given: Option<&str>) -> Result<String, Refusal> {
    match given {
        None | Some("") => Ok(String::new()),
        Some(key) if auth::is_key(key) => Ok(key.to_owned()),
        Some(_) => Err(Refusal::invalid(
            "authentication.symmetricKey holds a key that is not base64 of 16 to 64 bytes",
        )),
    }
}
