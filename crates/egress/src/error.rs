//! What can go wrong on the way out, without naming an address, a URL or a header.

/// Why an outbound call gave no usable answer.
///
/// The texts are safe to log and to show: none contains an address, a URL, a header or a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The endpoint was refused before anything was looked up or connected.
    #[error("endpoint not allowed: {reason}")]
    EndpointNotAllowed {
        /// Which rule it broke.
        reason: &'static str,
    },
    /// The host, or its port, is not one the destination admits.
    #[error("host not allowed for this destination")]
    HostNotAllowed,
    /// The host is, or resolves to, an address that is not public and that no rule allows.
    #[error("address denied by the egress policy")]
    AddressDenied,
    /// The request itself cannot be sent.
    #[error("invalid request: {reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host name did not resolve.
    #[error("host name could not be resolved")]
    Dns,
    /// No TCP connection could be made, or it was closed before the request was begun.
    #[error("connection could not be made")]
    Connect,
    /// The TLS handshake failed, or the certificate is not trusted for this host.
    #[error("tls handshake failed")]
    Tls,
    /// The time allowed ran out.
    #[error("request timed out")]
    Timeout {
        /// Whether a connection had been handed the request by then.
        sent: bool,
    },
    /// The connection broke after the request was begun.
    #[error("connection was interrupted")]
    Interrupted,
    /// The answer's body or headers are larger than allowed.
    #[error("answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit that was passed, in bytes.
        limit: usize,
    },
    /// The answer was on its way, and too much of other answers was held already.
    #[error("no room for the answer")]
    NoRoom,
    /// The answer is encoded although only `identity` was accepted.
    #[error("answer has an unsupported content or transfer encoding")]
    UnsupportedEncoding,
    /// The answer is not HTTP, or not an answer to this request.
    #[error("answer is not valid http")]
    InvalidResponse,
}

impl EgressError {
    /// Whether the provider may have received the request and acted on it.
    ///
    /// `false` is certain (trying again cannot do a thing twice); `true` is only a possibility.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Timeout { sent } => *sent,
            Self::Interrupted
            | Self::TooLarge { .. }
            | Self::NoRoom
            | Self::UnsupportedEncoding
            | Self::InvalidResponse => true,
            Self::EndpointNotAllowed { .. }
            | Self::HostNotAllowed
            | Self::AddressDenied
            | Self::InvalidRequest { .. }
            | Self::Dns
            | Self::Connect
            | Self::Tls => false,
        }
    }
}

/// Why a destination, an allow rule or a certificate was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A destination rule or an allow rule is malformed or too wide.
    #[error("rule `{rule}`: {reason}")]
    Rule {
        /// The rule as it was written.
        rule: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An extra certificate authority could not be read.
    #[error("extra certificate authority {number}: {reason}")]
    Certificate {
        /// Which entry, counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The TLS library refused its configuration.
    #[error("tls could not be configured")]
    Tls,
}

impl ConfigError {
    /// A [`ConfigError::Rule`].
    pub(crate) fn rule(rule: &str, reason: &'static str) -> Self {
        Self::Rule { rule: rule.to_owned(), reason }
    }
}
