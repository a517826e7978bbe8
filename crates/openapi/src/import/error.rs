//! Why a document is no toolkit.

use thiserror::Error;

use super::MAX_SLUG;

/// Why a document cannot be imported.
#[derive(Clone, Debug, Error)]
pub enum ImportError {
    /// The slug is none.
    #[error("the slug must be 1 to {MAX_SLUG} of `a-z`, `0-9` and `_`, and begin with a letter")]
    Slug,
    /// Version 2.0.
    #[error(
        "this is a Swagger 2.0 document; convert it to OpenAPI 3 first, for example with the npm package swagger2openapi"
    )]
    Swagger,
    /// Something else.
    #[error(
        "this is no OpenAPI 3 document and no discovery document: it has no `openapi` with a version that begins with 3"
    )]
    OtherKind,
    /// There is no address to send requests to.
    #[error("the document does not say where the API is: {0} (--base-url https://…)")]
    Server(String),
    /// There is no scheme that can be used.
    #[error(
        "the document names no security scheme that can be used; say how requests are authenticated: --auth none, bearer, basic, header:NAME or query:NAME{0}"
    )]
    Auth(String),
    /// Nothing is left to import.
    #[error("no operation can be imported{0}")]
    Nothing(String),
    /// The folder has a toolkit of another origin.
    #[error("the folder has a toolkit that was not imported, and stays as it is; choose another folder")]
    NotImported,
    /// The lock file is none.
    #[error("the lock file cannot be read: {0}")]
    Lock(String),
    /// The toolkit's files would be refused. This is a fault of the import, or of what was changed by hand.
    #[error("the toolkit would be refused:\n{0}")]
    Refused(String),
}
