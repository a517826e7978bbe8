//! Files that arguments name. They are taken out of the arguments, and fetched when everything else is checked.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use switchboard_catalog::Tool;
use switchboard_egress::Reservation;
use switchboard_tools::{File, Files, Mistake, is_no_file};

use super::Tools;
use crate::app::execute::context::CallContext;
use crate::app::file::MAX_LOADED;
use crate::app::file::load::in_field;
use crate::app::file::source::{FileSource, NamedFile};
use crate::app::session::Session;
use crate::error::Result;

/// The files of a call, by argument.
pub(super) struct FileArguments(BTreeMap<String, NamedFile>);

/// Files in memory, for as long as this lives.
#[derive(Default)]
pub(super) struct LoadedFiles {
    pub(super) files: Files,
    /// Memory of the files.
    reservations: Vec<Reservation>,
}

crate::redacted_debug!(FileArguments, LoadedFiles);

impl FileArguments {
    /// Takes the files out of arguments and leaves a text in the place of each, so that their schema still fits.
    ///
    /// # Errors
    /// What cannot name a file. Empty values are no files; the check of the arguments drops them.
    pub(super) fn take(tool: &Tool, arguments: &mut Map<String, Value>) -> std::result::Result<Self, Vec<Mistake>> {
        let (mut files, mut mistakes) = (BTreeMap::new(), Vec::new());
        for (name, value) in arguments.iter_mut() {
            let schema = tool.input.get(name).map(|argument| &argument.schema);
            let Some(schema) = schema.filter(|schema| schema.get("file_uploadable") == Some(&Value::Bool(true))) else {
                continue;
            };
            if is_no_file(value) {
                continue;
            }
            match NamedFile::parse(value) {
                Ok(file) => {
                    files.insert(name.clone(), file);
                    *value = if schema.get("type") == Some(&json!("object")) { json!({}) } else { json!("file") };
                }
                Err(problem) => mistakes.push(Mistake::new(name, problem)),
            }
        }
        if mistakes.is_empty() { Ok(Self(files)) } else { Err(mistakes) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is at a URL.
    pub(super) fn have_url(&self) -> bool {
        self.0.values().any(|file| matches!(file.source, FileSource::Url(_)))
    }

    /// Empty files in the place of those that are not fetched yet.
    pub(super) fn placeholders(&self) -> Files {
        let empty =
            || File { name: "file".to_owned(), media_type: "application/octet-stream".to_owned(), bytes: Bytes::new() };
        self.0.keys().map(|name| (name.clone(), empty())).collect()
    }
}

impl Tools {
    /// Gets the bytes of a call's files.
    ///
    /// # Errors
    /// A file is not there, may not be used, or is too large.
    pub(super) async fn load_files(
        &self,
        session: &Session,
        wanted: FileArguments,
        context: &CallContext,
    ) -> Result<LoadedFiles> {
        let mut loaded = LoadedFiles::default();
        let mut left = MAX_LOADED;
        for (name, named) in wanted.0 {
            let file = self.files.load(session, named, left, context.deadline).await;
            let file = file.map_err(|error| in_field(&format!("arguments.{name}"), error))?;
            left = left.saturating_sub(u64::try_from(file.bytes.len()).unwrap_or(u64::MAX));
            loaded.reservations.extend(file.reservation);
            loaded.files.insert(name, File { name: file.name, media_type: file.mimetype, bytes: file.bytes });
        }
        Ok(loaded)
    }
}
