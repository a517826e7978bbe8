//! A link of a session that is made while something else is done, such as a call of a tool.

use super::{Link, LinkRequest, Links, MAX_TRIES};
use crate::app::Actor;
use crate::app::base::idempotency::StoredResponse;
use crate::app::session::Session;
use crate::error::{Code, Error, Result};

impl Links {
    /// Prepares and stores a link whose response is not remembered.
    ///
    /// # Errors
    /// As for [`Self::prepare`]; others are changing the same resource.
    pub async fn create(&self, actor: &Actor, session: &Session, request: &LinkRequest) -> Result<Link> {
        let response = StoredResponse { status: 0, body: Vec::new() };
        for _ in 0..MAX_TRIES {
            let prepared = self.prepare(actor, session, request).await?;
            let link = prepared.object.link.clone();
            if self.commit(prepared, None, &response).await?.is_some() {
                return Ok(link);
            }
        }
        Err(Error::of(Code::Conflict, &[("reason", &"Another request is changing the same resource")]))
    }
}
