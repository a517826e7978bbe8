//! The lists of tools of an auth config: checked as a request gives them, and what they allow.

use std::sync::Arc;

use switchboard_catalog::Toolkit;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_types::{AllowedTools, AuthConfigId, ProjectId};

use crate::app::auth_config::AuthConfigs;
use crate::app::base::errors::auth_config_not_found;
use crate::app::base::tools::tool_problem;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::error::{Error, Result};
use crate::text::truncate;

/// Maximum number of tools in a list.
const MAX_TOOLS: usize = 1_000;
/// Maximum length of a tool's slug in bytes.
const MAX_SLUG: usize = 128;

impl AuthConfigs {
    /// The toolkits of auth configs, each with the tools that its accounts are limited to.
    ///
    /// # Errors
    /// There is no such auth config in the project.
    pub async fn allowed_tools(
        &self,
        project: &ProjectId,
        ids: &[String],
    ) -> Result<Vec<(String, Option<AllowedTools>)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<AuthConfigId> = ids.iter().map(|id| id.as_str().into()).collect();
        let found = self.core.store.auth_configs_by_id(project, &ids).await?;
        if let Some(unknown) = ids.iter().find(|id| found.iter().all(|config| config.id != **id)) {
            return Err(auth_config_not_found(unknown));
        }
        let limits =
            |config: AuthConfigRow| Ok((config.toolkit, AuthConfigSettings::parse(&config.settings)?.allowed_tools()));
        found.into_iter().map(limits).collect()
    }
}

/// Writes slugs in upper case and checks that the tools exist, where the toolkit has tools: a misspelt one would have no
/// effect. Without a toolkit, only their number and lengths are checked. `at` is the place of the lists in the request,
/// with a dot at its end.
///
/// # Errors
/// All tools that do not exist, each with the one that it is like; too many tools.
pub(super) fn check_tool_lists(
    toolkit: Option<&Arc<Toolkit>>,
    settings: &mut AuthConfigSettings,
    at: &str,
) -> Result<()> {
    let (creation, execution) = match settings.tool_access_config.as_mut() {
        Some(access) => {
            (access.tools_for_connected_account_creation.as_mut(), access.tools_available_for_execution.as_mut())
        }
        None => (None, None),
    };
    let restriction = settings.restrict_to_following_tools.as_mut();
    let mut errors = Vec::new();
    for (name, list) in [
        ("tool_access_config.tools_for_connected_account_creation", creation),
        ("tool_access_config.tools_available_for_execution", execution),
        ("restrict_to_following_tools", restriction),
    ] {
        let Some(list) = list else { continue };
        if list.len() > MAX_TOOLS {
            return Err(Error::field(&format!("{at}{name}"), format!("must hold at most {MAX_TOOLS} tools")));
        }
        for slug in list.iter_mut() {
            if slug.len() > MAX_SLUG {
                let problem = format!("{} is no tool: a slug has at most {MAX_SLUG} bytes", truncate(slug));
                return Err(Error::field(&format!("{at}{name}"), problem));
            }
            slug.make_ascii_uppercase();
            if let Some(problem) = toolkit.and_then(|toolkit| tool_problem(slug, toolkit)) {
                errors.push(format!("Error in payload.{at}{name}: {problem}"));
            }
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Error::validation(errors).fix("Name tools of the toolkit. An empty list allows all of them."))
}
