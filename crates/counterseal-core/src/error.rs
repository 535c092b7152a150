//! The one error of this crate: a stable code and a sentence for a person. Never a secret.

use std::fmt;

/// `code` is a rule of docs/protocol.md ("F4") or one of "mls", "store", "busy", "usage", "fatal".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub code: &'static str,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The caller asked for something that cannot be: nothing was changed.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message)
    }

    /// MLS, or this project's rules on top of it, refuse. `what` says which step, `cause` why.
    pub fn mls(what: &str, cause: impl fmt::Debug) -> Self {
        Self::new("mls", format!("{what}: {cause:?}"))
    }

    /// Gives a failure inside another rule that rule's code, keeping the reason.
    pub fn under(self, code: &'static str, place: &str) -> Self {
        Self::new(code, format!("{place}: {} ({})", self.message, self.code))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let code = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => "busy",
            _ => "store",
        };
        Self::new(code, format!("the device's database refused: {error}"))
    }
}
