//! Why something signed, described or fetched for an update is refused.

use std::fmt;

use super::result_code::ExtendedResultCode;

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// The update manifest in the twin.
    Manifest,
    /// The detached manifest of a reference step.
    Child,
    /// The import manifest that an operator writes.
    Import,
    /// The signature of an update manifest.
    Signature,
    /// A root key package.
    Package,
    /// The content of a file.
    File,
}

impl Document {
    /// Its name in a message.
    fn name(self) -> &'static str {
        match self {
            Self::Manifest => "update manifest",
            Self::Child => "detached manifest",
            Self::Import => "import manifest",
            Self::Signature => "manifest signature",
            Self::Package => "root key package",
            Self::File => "file",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// Why it is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word for it in golden vectors.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

reasons! {
    /// The member of the twin is absent, null or no string.
    NoText = "no-text",
    /// The text is not UTF-8 or not JSON.
    NotJson = "not-json",
    /// A member that must be there is not.
    Missing = "missing",
    /// A member has another JSON type than it must have.
    WrongType = "wrong-type",
    /// A member that must not be there.
    UnknownMember = "unknown-member",
    /// Too few or too many elements.
    Count = "count",
    /// A text or number outside its pattern or range.
    Value = "value",
    /// A manifest version that is not served.
    Version = "version",
    /// A primary manifest that only points to a detached one.
    DetachedPrimary = "detached-primary",
    /// A file id or name that `files` does not hold.
    UnknownFile = "unknown-file",
    /// A reference step in a child.
    NestedReference = "nested-reference",
    /// A referenced update that does not exist.
    UnknownChild = "unknown-child",
    /// A hash that is not written as its algorithm demands.
    Hash = "hash",
    /// Not exactly three parts with dots between.
    Structure = "structure",
    /// A header that is no base64url of a JSON object.
    Header = "header",
    /// A header without the member that names the key.
    HeaderMember = "header-member",
    /// An algorithm other than RS256.
    Algorithm = "algorithm",
    /// The root key is disabled by the stored package.
    RootKeyDisabled = "root-key-disabled",
    /// No root key has this id.
    RootKeyUnknown = "root-key-unknown",
    /// The stored package cannot be read, so nobody knows what is disabled.
    StoreUnreadable = "store-unreadable",
    /// The signing key was not signed by the root key it names.
    KeySignature = "key-signature",
    /// The signing key cannot be read.
    KeyPayload = "key-payload",
    /// The signing key is disabled by the stored package.
    SigningKeyDisabled = "signing-key-disabled",
    /// The signature was not made by the signing key.
    Signature = "signature",
    /// The signed payload holds no SHA-256.
    Payload = "payload",
    /// The content is not what the hash says.
    HashMismatch = "hash-mismatch",
    /// A built-in root key did not sign the package.
    PackageSignature = "package-signature",
    /// A test package for a production agent.
    TestPackage = "test-package",
    /// A production package for a test agent.
    ProductionPackage = "production-package",
    /// A package older than the stored one.
    Rollback = "rollback",
    /// No hash of an algorithm that is strong enough.
    WeakHash = "weak-hash",
    /// The content is not as long as the manifest says.
    Size = "size",
}

/// A refusal: what was looked at, where in it, why, and in words what was seen and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What was looked at.
    pub document: Document,
    /// Why it is refused.
    pub reason: Reason,
    /// Where: a path such as `files.f01.hashes.sha256`; empty for the whole.
    pub place: String,
    /// What was seen and what is allowed.
    pub message: String,
}

impl Flaw {
    pub(super) fn new(
        document: Document,
        reason: Reason,
        place: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { document, reason, place: place.into(), message: message.into() }
    }

    /// The code that agents of interface 2 are known to report for it; `None` where no source names
    /// one. Agents of interface 1 report 80300001 for every fault of signature or hash
    /// (device-update-agent.md § 6.8, device-update-manifests.md § 3.1).
    #[must_use]
    pub fn code(&self) -> Option<ExtendedResultCode> {
        let code = match self.document {
            Document::Manifest | Document::Child => self.manifest_code(),
            Document::Signature => self.signature_code(),
            Document::Package => self.package_code(),
            Document::File => match self.reason {
                Reason::HashMismatch => Some(0x0010_0003),
                _ => None,
            },
            Document::Import => None,
        };
        code.map(ExtendedResultCode)
    }

    /// The code that our reference agent reports: the known one, else the general code of the
    /// component that found the flaw. The latter is a CHOICE.
    #[must_use]
    pub fn reported(&self) -> ExtendedResultCode {
        self.code().unwrap_or(match self.document {
            Document::Manifest | Document::Child | Document::Import => {
                ExtendedResultCode::BAD_MANIFEST
            }
            Document::Signature => ExtendedResultCode::MANIFEST_VALIDATION,
            Document::Package => ExtendedResultCode::ROOT_KEY_PACKAGE,
            Document::File => ExtendedResultCode::HASH_MISMATCH,
        })
    }

    fn manifest_code(&self) -> Option<u32> {
        match self.reason {
            Reason::NoText => Some(0x8030_0001),
            Reason::NotJson => Some(0x8030_0009),
            Reason::Version => Some(0x8030_000A),
            Reason::DetachedPrimary => Some(0x8030_000B),
            Reason::NestedReference => Some(0x3040_0009),
            _ => None,
        }
    }

    fn signature_code(&self) -> Option<u32> {
        match self.reason {
            Reason::NoText | Reason::HashMismatch => Some(0x8030_0001),
            Reason::Structure => Some(0xA020_0002),
            Reason::KeySignature | Reason::Signature => Some(0xA020_0004),
            Reason::RootKeyDisabled => Some(0xA020_0005),
            Reason::RootKeyUnknown => Some(0xA020_0006),
            Reason::StoreUnreadable => Some(0xA020_0007),
            Reason::Header => Some(0xA020_0008),
            Reason::KeyPayload => Some(0xA020_0009),
            Reason::SigningKeyDisabled => Some(0xA000_0005),
            _ => None,
        }
    }

    fn package_code(&self) -> Option<u32> {
        match self.reason {
            Reason::NotJson => Some(0xA000_0001),
            Reason::PackageSignature | Reason::Algorithm => Some(0x8060_0004),
            Reason::TestPackage => Some(0xA000_0007),
            Reason::ProductionPackage => Some(0xA000_0006),
            _ => None,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.document.name())?;
        if !self.place.is_empty() {
            write!(formatter, ", {}", self.place)?;
        }
        write!(formatter, ": {}", self.message)
    }
}

impl std::error::Error for Flaw {}
