//! Answers that are files: each is stored, and the result says where it can be fetched.

use bytes::Bytes;
use http::header;
use serde_json::{Map, Value, json};
use switchboard_store::files::FileRow;
use switchboard_tools::{ProviderAnswer, json as parser, read};
use switchboard_types::ProjectId;
use url::Url;

use super::Tools;
use super::failure::{header, unusable};
use super::outcome::{FailureKind, Outcome, ToolFailure};
use crate::app::base::tools::FoundTool;
use crate::app::execute::answer::{Answer, AnswerData};
use crate::app::execute::context::{CallContext, MAX_TOOL_FILE};
use crate::app::file::upload::NewFile;
use crate::error::Error;
use crate::time::iso;

impl Tools {
    /// Stores the file of a successful answer. None if the answer is a failure, which is read as any other.
    pub(super) async fn downloaded(
        &self,
        project: &ProjectId,
        found: &FoundTool,
        answer: &Answer,
        context: &CallContext,
    ) -> Option<Outcome> {
        if answer.status.is_redirection() {
            return Some(self.redirected(project, found, answer, context).await);
        }
        if !answer.status.is_success() || is_declared_failure(found, answer) {
            return None;
        }
        let bytes = match &answer.data {
            AnswerData::Json(bytes) | AnswerData::Text(bytes) | AnswerData::Binary { bytes, .. } => bytes.clone(),
            AnswerData::Empty if answer.status.as_u16() == 200 => Bytes::new(),
            AnswerData::Empty => return Some(Outcome::Failed(unusable(found, answer, "no file"))),
        };
        let content_type = header(answer, header::CONTENT_TYPE.as_str());
        let disposition = header(answer, header::CONTENT_DISPOSITION.as_str());
        let new = NewFile::received(content_type, disposition, &found.row.slug.to_ascii_lowercase(), &bytes);
        Some(self.stored(project, found, new, bytes).await)
    }

    /// Some providers answer with the address of the file, which carries its own permission.
    async fn redirected(
        &self,
        project: &ProjectId,
        found: &FoundTool,
        answer: &Answer,
        context: &CallContext,
    ) -> Outcome {
        let location = header(answer, header::LOCATION.as_str()).and_then(|location| Url::parse(location).ok());
        let Some(location) = location else {
            return Outcome::Failed(unusable(found, answer, "a redirect to no URL"));
        };
        let limit = u64::try_from(MAX_TOOL_FILE).unwrap_or(u64::MAX);
        match self.files.follow(location, limit, context.deadline).await {
            Ok(received) => self.stored(project, found, received.new, received.bytes).await,
            Err(error) => Outcome::Failed(not_stored(found, &error)),
        }
    }

    async fn stored(&self, project: &ProjectId, found: &FoundTool, new: NewFile, bytes: Bytes) -> Outcome {
        let new = NewFile { toolkit: found.toolkit.slug.clone(), tool: found.row.slug.clone(), ..new };
        match self.files.save(project, new, bytes).await {
            Ok(file) => Outcome::Completed { data: self.described(&file), page: None },
            Err(error) => Outcome::Failed(not_stored(found, &error)),
        }
    }

    /// `{file: {name, mimetype, s3url}}`. SDKs fetch what is under `s3url`, and fail if it is not at a public address; so
    /// the URL of a server that is not is under `url`.
    fn described(&self, file: &FileRow) -> Map<String, Value> {
        let signed = self.files.download_url(file);
        let place = if self.core.settings.files.is_reachable_by_sdks { "s3url" } else { "url" };
        let mut described = json!({
            "name": file.name,
            "mimetype": file.mimetype,
            "size": file.size,
            "s3key": file.key,
            "expires_at": iso(signed.expires_at),
        });
        described[place] = signed.url.into();
        Map::from_iter([("file".to_owned(), described)])
    }
}

/// Whether a successful answer is a failure by the tool's rule.
fn is_declared_failure(found: &FoundTool, answer: &Answer) -> bool {
    let AnswerData::Json(bytes) = &answer.data else { return false };
    if found.row.error_when.is_none() {
        return false;
    }
    let json = parser::parse(bytes).ok();
    read(&found.row, ProviderAnswer { status: answer.status.as_u16(), json, text: None, is_page: false }).is_err()
}

/// The provider did what it was asked, but its file is not there.
fn not_stored(found: &FoundTool, error: &Error) -> ToolFailure {
    let detail = error.errors().first().map_or(error.message(), String::as_str);
    let detail = detail.trim_end_matches('.');
    ToolFailure {
        kind: FailureKind::UnusableAnswer,
        message: format!(
            "The file that {} returns could not be stored: {detail}. {}",
            found.toolkit.name,
            error.suggested_fix()
        ),
        status: None,
        retry_after_ms: error.retry_after_seconds().map(|seconds| seconds.saturating_mul(1_000)),
        answer: Map::new(),
    }
}
