//! `POST /devices`: up to a hundred identity or twin operations in one call (hub-http.md § 2.4).

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::{Value, json};

use super::registry::check_etag;
use super::service::{IfMatch, Reply};
use super::{Hub, Output};
use crate::error::{ErrorCode, Refusal};
use crate::identity::Identity;
use crate::json;
use crate::registry::{SettingsRequest, check_new_identity};
use crate::time::Time;
use crate::twin::WriteMode;

/// Items of one call (HUB-REG-032, -033).
const ITEMS_MAX: usize = 100;

impl Hub {
    /// Carries out the items in order; they are independent of each other.
    pub(super) fn bulk(
        &mut self,
        now: Time,
        body: &[u8],
        outputs: &mut Vec<Output>,
    ) -> Result<Reply, Refusal> {
        let Value::Array(items) = json::parse(body)? else {
            return Err(Refusal::invalid("A bulk operation must be a JSON array"));
        };
        if items.len() > ITEMS_MAX {
            return Err(Refusal::invalid(format!(
                "A bulk operation may have {ITEMS_MAX} items, found {}",
                items.len()
            )));
        }
        if let Some(position) = items.iter().position(|item| !item.is_object()) {
            return Err(Refusal::invalid(format!(
                "Item {position} of the bulk operation is no JSON object"
            )));
        }
        let mut seen = BTreeSet::new();
        let mut errors = Vec::new();
        for item in &items {
            let identity = identity_of(item);
            let result = if seen.insert(identity.clone()) {
                self.bulk_item(now, &identity, item, outputs)
            } else {
                Err(Refusal::new(ErrorCode::DeviceDefinedMultipleTimes, identity.to_string()))
            };
            if let Err(refusal) = result {
                errors.push(error_of(&identity, item, &refusal));
            }
        }
        let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        let body = json!({
            "isSuccessful": errors.is_empty(),
            "errors": errors,
            "warnings": [],
        });
        Ok(Reply { status, ..Reply::ok(body) })
    }

    fn bulk_item(
        &mut self,
        now: Time,
        identity: &Identity,
        item: &Value,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        check_new_identity(identity)?;
        let etag = |name: &str| etag_of(item, name);
        match mode_of(item).to_ascii_lowercase().as_str() {
            "create" => {
                let request = SettingsRequest::from_body(identity, item)?;
                self.create(now, identity, request, outputs)?;
                self.bulk_twin(now, identity, &IfMatch::Any, item, outputs)
            }
            "update" => {
                let request = SettingsRequest::from_body(identity, item)?;
                self.update(now, identity, &IfMatch::Any, request, outputs)
            }
            "updateifmatchetag" => {
                let request = SettingsRequest::from_body(identity, item)?;
                self.update(now, identity, &etag("eTag"), request, outputs)
            }
            "delete" => self.delete_identity(now, identity, &IfMatch::Any, outputs).map(drop),
            "deleteifmatchetag" => {
                check_etag(&etag("eTag"), &self.entity(identity)?.record)?;
                self.delete_identity(now, identity, &IfMatch::Any, outputs).map(drop)
            }
            "updatetwin" => self.bulk_twin(now, identity, &IfMatch::Any, item, outputs),
            "updatetwinifmatchetag" => {
                self.bulk_twin(now, identity, &etag("twinETag"), item, outputs)
            }
            other => Err(Refusal::invalid(format!(
                "importMode is {other:?}, allowed are create, update, updateIfMatchETag, delete, \
                 deleteIfMatchETag, updateTwin and updateTwinIfMatchETag"
            ))),
        }
    }

    /// Applies the twin part of an item, where there is one.
    fn bulk_twin(
        &mut self,
        now: Time,
        identity: &Identity,
        if_match: &IfMatch,
        item: &Value,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let has = |name: &str| item.get(name).is_some_and(|part| !part.is_null());
        if !has("tags") && !has("properties") {
            return Ok(());
        }
        let mut body = json!({ "properties": item.get("properties") });
        if let (Some(tags), Some(members)) = (item.get("tags"), body.as_object_mut()) {
            members.insert("tags".to_owned(), tags.clone());
        }
        let body = body.to_string();
        self.write_twin(now, WriteMode::Patch, identity, if_match, body.as_bytes(), outputs)
            .map(drop)
    }
}

fn identity_of(item: &Value) -> Identity {
    let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|id| !id.is_empty());
    let module = text("moduleId").map(str::to_owned);
    Identity { device: text("id").unwrap_or_default().to_owned(), module }
}

fn mode_of(item: &Value) -> &str {
    item.get("importMode").and_then(Value::as_str).unwrap_or("create")
}

/// The etag of an item: its member's letter case varies among clients (the Node SDK and the IoT
/// explorer send `etag`), and `*` stands for any.
fn etag_of(item: &Value, name: &str) -> IfMatch {
    let members = item.as_object().into_iter().flatten();
    let found = members
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .find_map(|(_, value)| value.as_str());
    match found.unwrap_or_default().trim_matches('"') {
        "*" => IfMatch::Any,
        etag => IfMatch::Quoted(etag.to_owned()),
    }
}

fn error_of(identity: &Identity, item: &Value, refusal: &Refusal) -> Value {
    json!({
        "deviceId": identity.device,
        "moduleId": identity.module,
        "errorCode": refusal.code.name(),
        "errorStatus": refusal.message,
        "operation": mode_of(item),
    })
}
