//! `diagnosticInformation`: the service asks for logs, the agent uploads them
//! (device-update-agent.md § 10.2).

use serde_json::{Map, Value, json};

use super::report::component;

/// The component of the twin.
pub(super) const DIAGNOSTICS: &str = "diagnosticInformation";

/// What came of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Upload {
    /// Everything was uploaded.
    Done,
    /// There was nothing to upload.
    NoLogs,
    /// A file could not be uploaded.
    Failed,
    /// The URL cannot be used.
    BadUrl,
    /// No logs are configured.
    NotConfigured,
    /// The request names no operation.
    NoOperation,
    /// The request names no URL.
    NoUrl,
}

impl Upload {
    /// Its result code.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Done => 200,
            Self::NoLogs => -1,
            Self::Failed => -2,
            Self::BadUrl => -4,
            Self::NotConfigured => -5,
            Self::NoOperation => -6,
            Self::NoUrl => -7,
        }
    }
}

/// A request for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogRequest {
    /// The operation; empty when the request names none.
    pub(super) operation: String,
    /// Where the logs go, or what is answered at once.
    pub(super) url: Result<String, Upload>,
}

impl LogRequest {
    pub(super) fn read(service: &Map<String, Value>) -> Self {
        let text = |name: &str| {
            let text = service.get(name).and_then(Value::as_str).unwrap_or_default();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let operation = text("operationId");
        let url = match &operation {
            None => Err(Upload::NoOperation),
            Some(_) => text("storageSasUrl").ok_or(Upload::NoUrl),
        };
        Self { operation: operation.unwrap_or_default(), url }
    }

    /// The acknowledgement. The URL is a secret: it is not repeated (ADU-AGENT-130).
    pub(super) fn acknowledgement(&self, version: u64) -> Value {
        let value = json!({ "operationId": self.operation });
        let service = json!({ "value": value, "ac": 200, "ad": "", "av": version });
        component(DIAGNOSTICS, "service", service)
    }
}

/// The report that an operation has ended.
pub(super) fn result(operation: &str, upload: Upload) -> Value {
    let agent = json!({ "resultCode": upload.code(), "operationId": operation });
    component(DIAGNOSTICS, "agent", agent)
}
