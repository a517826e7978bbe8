//! Results in the form that their caller asks for, and large ones as files.

use serde_json::{Map, Value};
use switchboard_store::failpoint;
use switchboard_tools::{NOTE, ResponseOptions, ResponseShape};

use super::Tools;
use super::outcome::Outcome;
use crate::app::session::Session;
use crate::error::{Error, Result};

/// Whose result it is.
#[derive(Clone, Copy)]
pub struct ResultOf<'a> {
    /// The session of the call.
    pub session: &'a Session,
    /// Slug of the tool, in any case.
    pub tool: &'a str,
    /// `log_…` of the call.
    pub log_id: &'a str,
}

crate::redacted_debug!(ResultOf<'a>);

/// The form that options stand for. `field` is where they are in the request.
///
/// # Errors
/// An option is out of range, or a path cannot be used.
pub fn shape(options: &ResponseOptions, field: &str) -> Result<ResponseShape> {
    ResponseShape::parse(options)
        .map_err(|mistake| Error::field(&format!("{field}.{}", mistake.argument), mistake.message))
}

/// The same, with the session's options for what the request leaves out.
///
/// # Errors
/// As for [`shape`].
pub fn shape_in(session: &Session, given: Option<ResponseOptions>, field: &str) -> Result<ResponseShape> {
    let extensions = session.config.experimental.as_ref().and_then(|experimental| experimental.switchboard.as_ref());
    match (given, extensions.and_then(|extensions| extensions.response.as_ref())) {
        (None, None) => Ok(ResponseShape::default()),
        (Some(given), None) => shape(&given, field),
        (given, Some(default)) => shape(&given.unwrap_or_default().or(default), field),
    }
}

impl Tools {
    /// An outcome with its result in a form. Failures stay as they are.
    pub fn shaped(&self, outcome: Outcome, tool: &str, shape: &ResponseShape) -> Outcome {
        match outcome {
            Outcome::Completed { data, page } if !shape.is_plain() => {
                Outcome::Completed { data: shape.apply(data, &self.untrusted(tool)).data, page }
            }
            outcome => outcome,
        }
    }

    /// The same for a caller who has asked for previews of large results: one that is too large, or is shortened, is also
    /// a file of the session, with all of it.
    pub async fn shaped_or_off_loaded(&self, outcome: Outcome, of: ResultOf<'_>, shape: &ResponseShape) -> Outcome {
        let Outcome::Completed { data, page } = outcome else { return outcome };
        if shape.is_plain() {
            return Outcome::Completed { data: self.off_loaded(of, data, None).await, page };
        }
        let untrusted = self.untrusted(of.tool);
        let all = shape.marks_alone().apply(data.clone(), &untrusted).data;
        let mut shaped = shape.apply(data, &untrusted);
        if !shape.is_bounded() {
            return Outcome::Completed { data: self.off_loaded(of, shaped.data, Some(all)).await, page };
        }
        if shaped.is_truncated
            && let Some((file, _)) = self.save_result(of, &all).await
            && let Some(Value::Object(note)) = shaped.data.get_mut(NOTE)
        {
            note.insert("remote_file_info".to_owned(), file);
        }
        Outcome::Completed { data: shaped.data, page }
    }

    /// JSON pointers of texts in a tool's results that other people wrote.
    fn untrusted(&self, tool: &str) -> Vec<String> {
        self.core.tool(tool).map(|found| found.row.untrusted.clone()).unwrap_or_default()
    }

    /// Keeps a result as a file of its session: where it is, and its size in bytes. None if it cannot be kept, which is
    /// no reason to lose the result: the call had its effect.
    pub(super) async fn save_result(&self, of: ResultOf<'_>, data: &Map<String, Value>) -> Option<(Value, usize)> {
        let bytes = serde_json::to_vec(data).ok()?;
        let size = bytes.len();
        failpoint::hit("during_off_load");
        match self.files.save_result(of.session, of.tool, &super::off_load::path_of(of.log_id), bytes.into()).await {
            Ok((file, signed)) => Some((super::off_load::file_info(of.log_id, &file, &signed), size)),
            Err(error) => {
                tracing::warn!(error = error.message(), cause = error.causes(), "a large result could not be stored");
                None
            }
        }
    }
}
