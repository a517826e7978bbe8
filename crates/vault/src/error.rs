//! Why a sealed value did not open, and why a key file could not be used.

use std::io;

use thiserror::Error;

/// Why a sealed value did not open. All mean that the stored data or the key ring is not what it was; none
/// is a caller's fault.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    /// Shorter than a header, or of a later layout.
    #[error("sealed value is malformed")]
    Malformed,
    /// In the layout of earlier programs, which is bound to less.
    #[error("sealed value is in the first layout, which is accepted only while stored values are sealed anew")]
    FirstLayout,
    /// Sealed with a key that is not in the ring.
    #[error("sealed value needs master key {0}, which is not in the key file")]
    UnknownKey(String),
    /// The tag does not match: another row's ciphertext, a row that was rewritten, or damage.
    #[error("sealed value does not belong to this row, or the row was rewritten, or it is damaged")]
    Unreadable,
}

/// Why a key file could not be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// Reading or writing failed.
    #[error("cannot use master key file {path}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Others may read it.
    #[error(
        "master key file {path} has mode {mode:03o}; run `chmod 600 {path}`, or mount it with mode 0440, owned by root or \
         by the server's user"
    )]
    TooOpen {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Not `<8 hex digits> <base64 of 32 bytes>`.
    #[error("master key file {path}, line {line}: expected `<8 hex digits> <base64 of 32 bytes>`")]
    Malformed {
        /// The file.
        path: String,
        /// One-based line.
        line: usize,
    },
    /// No key in it.
    #[error("master key file {path} holds no key")]
    Empty {
        /// The file.
        path: String,
    },
}
