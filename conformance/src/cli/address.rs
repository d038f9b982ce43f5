//! Addresses on the command line: read with what the option allows in mind.

use std::net::SocketAddr;

use twinspec_harness::endpoint::Endpoint;

/// Reads where a hub speaks MQTT.
///
/// # Errors
/// Says what is allowed.
pub(super) fn mqtt(text: &str) -> Result<Endpoint, String> {
    endpoint(text, ["mqtt", "mqtts"], "mqtts://hub.example:8883")
}

/// Reads where a hub speaks HTTP.
///
/// # Errors
/// Says what is allowed.
pub(super) fn http(text: &str) -> Result<Endpoint, String> {
    endpoint(text, ["http", "https"], "https://hub.example:443")
}

/// Reads where to listen.
///
/// # Errors
/// Says what is allowed.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, for example 127.0.0.1:8080".to_owned())
}

fn endpoint(text: &str, [plain, tls]: [&str; 2], example: &str) -> Result<Endpoint, String> {
    let allowed = || format!("expected for example {example}, or {plain}:// on loopback");
    let (scheme, rest) = text.split_once("://").ok_or_else(allowed)?;
    if ![plain, tls].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(allowed());
    }
    // Whoever logs in by them would be surprised that nobody looks at them.
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return Err(
            "a user name or a password is of no use here: the connection string says how to \
                    log in"
                .to_owned(),
        );
    }
    text.parse::<Endpoint>().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_of_the_option_is_told_what_is() {
        for (text, expected) in [
            ("foo", "expected for example https://hub.example:443, or http:// on loopback"),
            ("mqtts://h", "expected for example https://hub.example:443, or http://"),
            ("https://u:p@h", "a user name or a password is of no use here"),
            ("http://hub.example", "accepted on loopback only, use https"),
        ] {
            let error = http(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = mqtt("http://127.0.0.1:1").unwrap_err();
        assert!(error.contains("mqtts://hub.example:8883, or mqtt:// on loopback"), "{error}");
        assert!(mqtt("mqtts://h").is_ok() && http("HTTP://localhost:8080/").is_ok());
        assert!(listen("foo").unwrap_err().contains("127.0.0.1:8080"));
    }
}
