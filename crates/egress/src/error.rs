//! Errors of outbound calls. They never contain an address, a URL or a header.

/// Why an outbound call has no usable response.
///
/// The messages are safe to log and to show: none contains an address, a URL, a header or a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// The endpoint was refused before any look-up or connection.
    #[error("endpoint not allowed: {reason}")]
    EndpointNotAllowed {
        /// The violated rule.
        reason: &'static str,
    },
    /// The destination does not include the host or its port.
    #[error("host not allowed for this destination")]
    HostNotAllowed,
    /// The host is, or resolves to, an address that is neither public nor allowed by a rule.
    #[error("address denied by the egress policy")]
    AddressDenied,
    /// The request itself cannot be sent.
    #[error("invalid request: {reason}")]
    InvalidRequest {
        /// The reason.
        reason: &'static str,
    },
    /// The host name did not resolve.
    #[error("host name could not be resolved")]
    Dns,
    /// No TCP connection was made, or it was closed before the request was sent.
    #[error("connection could not be made")]
    Connect,
    /// The TLS handshake failed, or the certificate is not trusted for this host.
    #[error("tls handshake failed")]
    Tls,
    /// The call exceeded its timeout.
    #[error("request timed out")]
    Timeout {
        /// Whether the request may have been sent on a connection.
        sent: bool,
    },
    /// The connection broke after the request was started.
    #[error("connection was interrupted")]
    Interrupted,
    /// The body or the headers of the response exceed the limit.
    #[error("answer is larger than {limit} bytes")]
    TooLarge {
        /// The exceeded limit, in bytes.
        limit: usize,
    },
    /// The response exceeded the memory budget for responses.
    #[error("response exceeds the memory budget")]
    BudgetExhausted,
    /// The response is encoded although only `identity` was accepted.
    #[error("answer has an unsupported content or transfer encoding")]
    UnsupportedEncoding,
    /// The response is not valid HTTP.
    #[error("answer is not valid http")]
    InvalidResponse,
}

impl EgressError {
    /// Whether the provider may have received the request and acted on it.
    ///
    /// `false` is certain: a retry cannot repeat an effect. `true` is only a possibility.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Timeout { sent } => *sent,
            Self::Interrupted
            | Self::TooLarge { .. }
            | Self::BudgetExhausted
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

/// Why a destination, an allow rule or a certificate was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A destination rule or an allow rule is malformed or too wide.
    #[error("rule `{rule}`: {reason}")]
    Rule {
        /// The rule as it was written.
        rule: String,
        /// The reason.
        reason: &'static str,
    },
    /// An extra certificate authority could not be read.
    #[error("extra certificate authority {number}: {reason}")]
    Certificate {
        /// Which entry, counted from 1.
        number: usize,
        /// The reason.
        reason: &'static str,
    },
    /// The TLS library rejected its configuration.
    #[error("tls could not be configured")]
    Tls,
}

impl ConfigError {
    /// A [`ConfigError::Rule`].
    pub(crate) fn rule(rule: &str, reason: &'static str) -> Self {
        Self::Rule { rule: rule.to_owned(), reason }
    }
}
