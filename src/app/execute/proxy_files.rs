//! Files of raw API calls: a body that is fetched before the call, and an answer that is stored after it.

use super::answer::{Answer, AnswerData};
use super::context::CallContext;
use super::proxy::{ProxyBody, ProxyRequest};
use crate::app::execute::Executor;
use crate::app::file::load::in_field;
use crate::app::file::signed_url::SignedUrl;
use crate::app::file::source::NamedFile;
use crate::app::file::upload::NewFile;
use crate::app::file::{Files, MAX_LOADED};
use crate::app::session::Session;
use crate::error::Result;

/// Binary answers of up to this size in bytes are handed over as they are, larger ones as a file.
const MAX_INLINE: usize = 1024 * 1024;

/// A body whose bytes are elsewhere.
pub struct BodyFile {
    /// Where.
    pub named: NamedFile,
    /// The type to send; the file's own when omitted.
    pub content_type: Option<String>,
}

/// The answer to a raw API call.
pub struct ProxyAnswer {
    /// The answer. The bytes of a stored file are still in it.
    pub answer: Answer,
    /// Where a binary answer can be fetched that is too large to be handed over.
    pub stored: Option<SignedUrl>,
}

crate::redacted_debug!(BodyFile, ProxyAnswer);

impl Executor {
    /// [`Self::proxy_execute`] with a body from a file, and with large binary answers as files. Everything but the file
    /// is checked before it is fetched.
    ///
    /// # Errors
    /// As for [`Self::proxy_execute`]; also, that the file is not there, may not be used, or is too large.
    pub async fn proxy_execute_with_files(
        &self,
        files: &Files,
        session: &Session,
        request: ProxyRequest,
        body: Option<BodyFile>,
        context: &CallContext,
    ) -> Result<ProxyAnswer> {
        let (mut request, mut memory) = (request, None);
        if let Some(BodyFile { named, content_type }) = body {
            let placeholder = content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
            request.body = Some(ProxyBody { bytes: bytes::Bytes::new(), content_type: placeholder });
            self.check(session, request.call(), context).await?;
            let file = files.load(session, named, MAX_LOADED, context.deadline).await;
            let file = file.map_err(|error| in_field("binary_body.url", error))?;
            memory = file.reservation;
            let content_type = content_type.unwrap_or(file.mimetype);
            request.body = Some(ProxyBody { bytes: file.bytes, content_type });
        }
        let answer = self.proxy_execute(session, &request, context).await?;
        drop((request, memory));
        let stored = store_if_large(files, session, &answer).await;
        Ok(ProxyAnswer { answer, stored })
    }
}

/// Stores a large binary answer. The call had its effect: if it cannot be stored, it is handed over as it is.
async fn store_if_large(files: &Files, session: &Session, answer: &Answer) -> Option<SignedUrl> {
    let AnswerData::Binary { bytes, content_type } = &answer.data else { return None };
    if bytes.len() <= MAX_INLINE {
        return None;
    }
    let header = |name: &str| answer.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
    let new = NewFile::received(Some(content_type), header("content-disposition"), "answer", bytes);
    match files.save(&session.project_id, new, bytes.clone()).await {
        Ok(file) => Some(files.download_url(&file)),
        Err(error) => {
            tracing::warn!(error = error.message(), cause = error.causes(), "a large answer could not be stored");
            None
        }
    }
}
