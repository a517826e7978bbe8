//! What is wrong with the arguments of a call, for the model that made it.

use std::fmt::{self, Display, Formatter};

/// One mistake. It quotes no value: an argument may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    /// Which argument, such as `labels[0]`. Empty for the arguments as a whole.
    pub argument: String,
    /// What is wrong and what is expected.
    pub message: String,
}

impl Mistake {
    /// A mistake in an argument.
    pub fn new(argument: impl Into<String>, message: impl Into<String>) -> Self {
        Self { argument: argument.into(), message: message.into() }
    }
}

impl Display for Mistake {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.argument.as_str() {
            "" => f.write_str(&self.message),
            argument => write!(f, "`{argument}` {}", self.message),
        }
    }
}
