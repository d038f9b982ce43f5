//! Defects of which keys and strings a twin takes (HUB-VALI-001 to -005).

use http::HeaderValue;
use serde_json::{Map, Value};
use twinspec_harness::hub::Overlay;

use super::validation::{ERROR_HEADER, http_error};
use crate::mutants::Mutant;
use crate::mutants::overlay::{
    each_value, edit_json, on_hub_publish, on_response, on_written, on_written_values, set,
};

type Members = Map<String, Value>;

/// The mutants.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        id: "twin-key-dot-taken",
        title: "Keys with a dot are taken, the dot left out",
        requirements: &["HUB-VALI-001"],
        overlay: || without_in_keys(|c| c == '.'),
    },
    Mutant {
        id: "twin-key-dollar-taken",
        title: "Keys with a dollar sign are taken, the sign left out",
        requirements: &["HUB-VALI-001"],
        overlay: || without_in_keys(|c| c == '$'),
    },
    Mutant {
        id: "twin-key-space-taken",
        title: "Keys with a space are taken, the space left out",
        requirements: &["HUB-VALI-001"],
        overlay: || without_in_keys(|c| c == ' '),
    },
    Mutant {
        id: "twin-key-nested-unchecked",
        title: "Keys inside objects are taken with any characters, the forbidden ones left out",
        requirements: &["HUB-VALI-001"],
        overlay: nested_keys_unchecked,
    },
    Mutant {
        id: "twin-key-reported-unchecked",
        title: "Devices may report any keys, forbidden characters are left out",
        requirements: &["HUB-VALI-001"],
        overlay: reported_keys_unchecked,
    },
    Mutant {
        id: "twin-key-refused-500",
        title: "A back end's wrong keys are answered with status 500",
        requirements: &["HUB-VALI-001"],
        overlay: || http_error("ArgumentInvalid", 500),
    },
    Mutant {
        id: "twin-key-c0-taken",
        title: "Keys with a C0 control character are taken, the character left out",
        requirements: &["HUB-VALI-002"],
        overlay: || without_in_keys(|c| c.is_ascii_control()),
    },
    Mutant {
        id: "twin-key-c1-taken",
        title: "Keys with a C1 control character are taken, the character left out",
        requirements: &["HUB-VALI-002"],
        overlay: || without_in_keys(|c| c.is_control() && !c.is_ascii()),
    },
    Mutant {
        id: "twin-key-error-other-header",
        title: "The header names another error than ArgumentInvalid",
        requirements: &["HUB-VALI-003"],
        overlay: other_error_header,
    },
    Mutant {
        id: "twin-key-error-other-number",
        title: "A device is told 400000 instead of 400004",
        requirements: &["HUB-VALI-003"],
        overlay: other_error_number,
    },
    Mutant {
        id: "twin-key-512",
        title: "Keys of more than 512 bytes are refused",
        requirements: &["HUB-VALI-004"],
        overlay: || rename_keys(|key| if key.len() > 512 { key.repeat(3) } else { key.to_owned() }),
    },
    Mutant {
        id: "twin-key-cut",
        title: "Keys of more than 1024 bytes are taken and cut",
        requirements: &["HUB-VALI-004"],
        overlay: || rename_keys(|key| key.chars().take(1024).collect()),
    },
    Mutant {
        id: "twin-string-512",
        title: "Strings of more than 512 bytes are refused",
        requirements: &["HUB-VALI-005"],
        overlay: || {
            edit_strings(|text| if text.len() > 512 { text.repeat(9) } else { text.to_owned() })
        },
    },
    Mutant {
        id: "twin-string-cut",
        title: "Strings of more than 4096 bytes are taken and cut",
        requirements: &["HUB-VALI-005"],
        overlay: || edit_strings(|text| text.chars().take(4096).collect()),
    },
];

fn edit_strings(edit: fn(&str) -> String) -> Box<dyn Overlay> {
    on_written_values(move |value| {
        if let Value::String(text) = value {
            *text = edit(text);
        }
    })
}

fn rename(members: &mut Members, to: &impl Fn(&str) -> String) {
    let old = std::mem::take(members);
    members.extend(old.into_iter().map(|(key, value)| (to(&key), value)));
}

fn rename_inside(value: &mut Value, to: &impl Fn(&str) -> String) {
    each_value(value, &mut |value| {
        if let Value::Object(members) = value {
            rename(members, to);
        }
    });
}

fn rename_keys(to: impl Fn(&str) -> String + Send + 'static) -> Box<dyn Overlay> {
    on_written(move |_, members| {
        members.values_mut().for_each(|value| rename_inside(value, &to));
        rename(members, &to);
    })
}

fn without_in_keys(unwanted: fn(char) -> bool) -> Box<dyn Overlay> {
    rename_keys(move |key| key.chars().filter(|c| !unwanted(*c)).collect())
}

fn with_good_characters(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '.' | '$' | ' ')).collect()
}

fn nested_keys_unchecked() -> Box<dyn Overlay> {
    on_written(|_, members| {
        members.values_mut().for_each(|value| rename_inside(value, &with_good_characters));
    })
}

fn reported_keys_unchecked() -> Box<dyn Overlay> {
    on_written(|place, members| {
        if place.ends_with(" reported") {
            members.values_mut().for_each(|value| rename_inside(value, &with_good_characters));
            rename(members, &with_good_characters);
        }
    })
}

fn other_error_header() -> Box<dyn Overlay> {
    on_response(|response| {
        if let Some(name) = response.headers_mut().get_mut(ERROR_HEADER) {
            *name = HeaderValue::from_static("GenericBadRequest");
        }
    })
}

fn other_error_number() -> Box<dyn Overlay> {
    on_hub_publish(|_, publish| {
        edit_json(&mut publish.payload, |body| {
            if body.get("errorCode").is_some() {
                set(body, "errorCode", 400_000);
            }
        });
        true
    })
}
