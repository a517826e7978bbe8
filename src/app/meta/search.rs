//! `COMPOSIO_SEARCH_TOOLS`: tools for tasks, as the search of the session finds them.

use serde::Deserialize;

use super::{Data, MetaTools, members};
use crate::app::session::Session;
use crate::app::tool::search::{SearchRequest, ToolQuery};
use crate::error::{Error, Result};

/// Its arguments.
#[derive(Deserialize)]
pub(super) struct SearchTools {
    queries: Vec<Query>,
    session: Option<Workflow>,
}

#[derive(Deserialize)]
struct Query {
    use_case: String,
    known_fields: Option<String>,
}

/// The earlier search that this one belongs to.
#[derive(Deserialize)]
struct Workflow {
    id: Option<String>,
}

impl MetaTools {
    /// What is found for each query.
    pub(super) async fn search(&self, session: &Session, wanted: SearchTools) -> Result<Data> {
        let queries = wanted.queries.into_iter();
        let queries = queries.map(|query| ToolQuery { use_case: query.use_case, known_fields: query.known_fields });
        let request = SearchRequest {
            queries: queries.collect(),
            workflow: wanted.session.and_then(|session| session.id),
            ..SearchRequest::default()
        };
        let found = self.tools.search(session, &request).await?;
        Ok(members(serde_json::to_value(found).map_err(Error::internal)?))
    }
}
