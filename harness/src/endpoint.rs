//! Where a peer listens: `mqtt://`, `mqtts://`, `http://` or `https://` with host and port.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What is spoken at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// MQTT over plain TCP: loopback only.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
    /// HTTP over plain TCP: loopback only.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Mqtts | Self::Https)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Mqtt => 1883,
            Self::Mqtts => 8883,
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A peer's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What is spoken there.
    pub scheme: Scheme,
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// An endpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError(String);

impl fmt::Display for EndpointError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for EndpointError {}

impl Endpoint {
    /// An endpoint on the scheme's usual port.
    #[must_use]
    pub fn usual(scheme: Scheme, host: impl Into<String>) -> Self {
        Self { scheme, host: host.into(), port: scheme.default_port() }
    }

    /// Host and port for a socket or a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = |what: String| Err(EndpointError(format!("{text:?}: {what}")));
        let url = match url::Url::parse(text) {
            Ok(url) => url,
            Err(error) => {
                return problem(format!("{error}; expected for example mqtts://host:8883"));
            }
        };
        let scheme = match url.scheme() {
            "mqtt" => Scheme::Mqtt,
            "mqtts" => Scheme::Mqtts,
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => {
                return problem(format!(
                    "unknown scheme {other}, allowed are mqtt, mqtts, http and https"
                ));
            }
        };
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return problem("the host is missing".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return problem("only scheme, host and port are allowed".to_owned());
        }
        let port = url.port().unwrap_or(scheme.default_port());
        let endpoint = Self { scheme, host, port };
        if !scheme.is_tls() && !endpoint.is_loopback() {
            return problem(format!(
                "plain {} is accepted on loopback only, use {}s",
                scheme.name(),
                scheme.name()
            ));
        }
        Ok(endpoint)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme.name(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_for_loopback_only() {
        assert!("mqtt://127.0.0.1:1".parse::<Endpoint>().is_ok());
        assert!("http://[::1]:80".parse::<Endpoint>().is_ok());
        let error = "mqtt://hub.example".parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains("use mqtts"), "{error}");
    }

    #[test]
    fn the_usual_port_is_filled_in() {
        let endpoint: Endpoint = "mqtts://hub.example".parse().unwrap();
        assert_eq!(endpoint.to_string(), "mqtts://hub.example:8883");
    }
}
