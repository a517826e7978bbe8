//! Errors without HTTP: one table of codes, one error type.
//!
//! Numbers and slugs are the published ones of the API (contract section 9). Where no number is
//! published, it is ours, and the code says so. `api/http/error.rs` is the only place that turns an
//! error into a response.

mod code;

use std::borrow::Cow;

use switchboard_store::{ReadError, WriteError};
use switchboard_vault::OpenError;

use crate::text::truncate_to;

pub use code::{Class, Code};

/// An error with a message for the caller and a source for the log.
#[derive(Debug)]
pub struct Error {
    code: Code,
    message: String,
    fix: Cow<'static, str>,
    details: Vec<String>,
    retry_after: Option<u64>,
    is_final: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Maximum characters of one placeholder value in a message.
const MAX_PLACEHOLDER: usize = 2_000;
/// Maximum lines of `errors` in one response.
const MAX_DETAILS: usize = 50;

/// Result of the application's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with the code's default fix.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (message, fix) = (message.into(), Cow::Borrowed(code.fix()));
        Self { code, message, fix, details: Vec::new(), retry_after: None, is_final: false, source: None }
    }

    /// An error with the code's own message and its placeholders filled. Values are truncated.
    pub fn of(code: Code, placeholders: &[(&str, &dyn std::fmt::Display)]) -> Self {
        let mut message = String::new();
        let mut rest = code.template();
        // In a single pass: a value that contains braces is not expanded again.
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            message.push_str(before);
            if let Some((_, value)) = placeholders.iter().find(|(placeholder, _)| *placeholder == name) {
                message.push_str(&truncate_to(&value.to_string(), MAX_PLACEHOLDER));
            }
            rest = after;
        }
        message.push_str(rest);
        Self::new(code, message)
    }

    /// A validation error about one field: `Error in payload.<field>: <what>`.
    pub fn field(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::validation(vec![format!("Error in payload.{field}: {problem}")])
    }

    /// A validation error about several fields.
    pub fn validation(details: Vec<String>) -> Self {
        let mut error = Self::new(Code::Validation, "Validation error while processing request");
        error.details = details;
        // Enough to continue; keeps the response readable.
        error.details.truncate(MAX_DETAILS);
        error
    }

    /// An internal error. The response does not reveal its source; the log contains it.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "Internal server error").because(source)
    }

    /// A reason behind the message.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.message = format!("{}: {reason}", self.message);
        self
    }

    /// A more specific fix than the code's own.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<Cow<'static, str>>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Lines of `errors`.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// When a retry makes sense, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The request may have been carried out: SDKs must not retry it on their own.
    #[must_use]
    pub fn do_not_repeat(mut self) -> Self {
        self.is_final = true;
        self
    }

    /// The cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What is wrong and what to do, for a model, which sees no list of errors beside it.
    pub fn in_words(&self) -> String {
        let details = self.errors().iter().map(|detail| detail.strip_prefix("Error in payload.").unwrap_or(detail));
        let mut sentences: Vec<&str> = details.collect();
        // Details say what is to be corrected.
        let fix = Some(self.suggested_fix()).filter(|fix| sentences.is_empty() || !fix.starts_with("Correct "));
        if sentences.is_empty() {
            sentences.push(self.message());
        }
        sentences.extend(fix.filter(|fix| !fix.is_empty()));
        let ended = |text: &str| if text.ends_with(['.', '?', '!']) { text.to_owned() } else { format!("{text}.") };
        sentences.into_iter().map(ended).collect::<Vec<_>>().join(" ")
    }

    /// The suggested fix.
    pub fn suggested_fix(&self) -> &str {
        &self.fix
    }

    /// Lines of `errors`.
    pub fn errors(&self) -> &[String] {
        &self.details
    }

    /// When a retry makes sense, in seconds, if known.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after
    }

    /// Whether SDKs must not retry the request on their own.
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// The chain of causes as one line, for the log.
    pub fn causes(&self) -> Option<String> {
        let mut next: Option<&(dyn std::error::Error + 'static)> = self.source.as_deref().map(|source| source as _);
        let mut line = String::new();
        while let Some(error) = next {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&error.to_string());
            next = error.source();
        }
        (!line.is_empty()).then_some(line)
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(_) => Self::new(Code::Unavailable, "The database cannot answer now").because(error),
            ReadError::Busy => Self::new(Code::Unavailable, "Too many lists of this project are read").retry_after(1),
            ReadError::Inconsistent(row) => Self::of(Code::RowUnreadable, &[("what", &row.to_string())]),
        }
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Full => Self::new(Code::StorageFull, "The server's storage is full").because(error),
            WriteError::Unavailable(_) => {
                Self::new(Code::Unavailable, "The database cannot take writes now").because(error)
            }
            // Expected refusals are handled where the unit is applied.
            WriteError::Refused(_) => Self::internal(error),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::new(Code::CredentialUnreadable, "A stored credential cannot be read").because(error)
    }
}

#[cfg(test)]
mod tests;
