//! Errors of opening sealed values and of key files.

use std::io;

use thiserror::Error;

/// Why a sealed value could not be opened. All variants mean that the stored data or the key ring changed;
/// none is the caller's fault.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    /// Shorter than a header, or of a newer layout.
    #[error("sealed value is malformed")]
    Malformed,
    /// In the layout of earlier versions, with less associated data.
    #[error("sealed value is in the first layout, which is accepted only for resealing at startup")]
    FirstLayout,
    /// Sealed with a key that is not in the key ring.
    #[error("sealed value needs master key {0}, which is not in the key file")]
    UnknownKey(String),
    /// Authentication failed: the value is from another row, the row was changed, or the data is damaged.
    #[error("sealed value does not belong to this row, or the row was rewritten, or it is damaged")]
    Unreadable,
}

/// Why a key file is not usable.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// Reading or writing failed.
    #[error("cannot use master key file {path}")]
    Io {
        /// The file.
        path: String,
        /// The I/O error.
        source: io::Error,
    },
    /// Readable by other users.
    #[error(
        "master key file {path} has mode {mode:03o}; run `chmod 600 {path}`, or mount it with mode 0440, owned by root or \
         by the server's user"
    )]
    InsecurePermissions {
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
    /// No key in the file.
    #[error("master key file {path} holds no key")]
    Empty {
        /// The file.
        path: String,
    },
}
