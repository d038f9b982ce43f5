//! Family `result-code`: what numbers and states of a report say.

use serde_json::{Value, json};
use twinspec_model::update::UpdateId;
use twinspec_model::update::result_code::{
    Conclusion, ExtendedResultCode, ExtendedResultCodes, Outcome, ResultCode, State, conclude,
};

use super::{Input, member, text};

pub(super) fn answer(case: &Value) -> Result<Value, String> {
    match text(case, "question")? {
        "result" => outcome(case),
        "extended" => extended(text(case, "code")?.parse()),
        "signed" => {
            let number = integer(case, "number")?;
            let number = i32::try_from(number).map_err(|error| error.to_string())?;
            extended(Ok(ExtendedResultCode::from_signed(number)))
        }
        "list" => Ok(list(text(case, "codes")?)),
        "report" => report(case),
        other => Err(format!("there is no question {other:?}")),
    }
}

fn integer(case: &Value, name: &str) -> Result<i64, String> {
    member(case, name)?.as_i64().ok_or_else(|| format!("{name} is no whole number"))
}

fn outcome(case: &Value) -> Result<Value, String> {
    let code = i32::try_from(integer(case, "number")?).map_err(|error| error.to_string())?;
    let word = match ResultCode(code).outcome() {
        Outcome::Success => "success",
        Outcome::InProgress => "in-progress",
        Outcome::Failure => "failure",
    };
    Ok(json!({ "outcome": word }))
}

fn extended(code: Result<ExtendedResultCode, String>) -> Result<Value, String> {
    let Ok(code) = code else {
        return Ok(json!({ "refused": "value" }));
    };
    Ok(json!({
        "code": code.to_string(),
        "facility": code.facility(),
        "component": code.component(),
        "value": code.value(),
        "signed": code.signed(),
    }))
}

fn list(codes: &str) -> Value {
    match codes.parse::<ExtendedResultCodes>() {
        Err(_) => json!({ "refused": "value" }),
        Ok(codes) => {
            let informational: Vec<String> =
                codes.informational.iter().map(ToString::to_string).collect();
            json!({ "own": codes.own.to_string(), "informational": informational })
        }
    }
}

fn report(case: &Value) -> Result<Value, String> {
    let deployed =
        UpdateId::from_value(member(case, "deployed")?).map_err(|error| error.to_string())?;
    let Some(state) = State::from_number(integer(case, "state")?) else {
        return Err("state is none that leaves the device".to_owned());
    };
    let installed = case.get("installedUpdateId").and_then(Value::as_str);
    let word = match conclude(state, installed, &deployed) {
        Conclusion::Succeeded => "succeeded",
        Conclusion::InProgress => "in-progress",
        Conclusion::Failed => "failed",
    };
    Ok(json!({ "deployment": word }))
}

/// Every bit of an extended result code by itself.
pub(super) fn inputs() -> Vec<Input> {
    let codes = (0..32).map(|bit| ExtendedResultCode(1 << bit));
    let input = |code: ExtendedResultCode| Input {
        title: format!("The parts of {code}."),
        requirements: Vec::new(),
        members: vec![("question", json!("extended")), ("code", json!(code.to_string()))],
    };
    codes.map(input).collect()
}
