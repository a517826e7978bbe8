//! Which scopes to ask for: `/toolkits/{slug}/scopes/…` and `POST /tools/scopes/required` (contract sections 6.4 and 6.6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_catalog::{Scheme, Toolkit};

use super::view::{ScopeRequirements, fewest_scopes, scope_requirements};
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::api::http::query::{Query, wrong};
use crate::app::App;
use crate::app::auth_config::toolkit_not_found;
use crate::app::tool::Tools;
use crate::app::tool::scopes::ScopeChoice;
use crate::error::{Error, Result};

/// Body of `POST /tools/scopes/required`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "RequiredScopesBody")]
pub struct ScopesBody {
    /// Slugs of tools of one toolkit.
    #[schemars(length(min = 1))]
    tools: Vec<String>,
    /// `latest` or a version of the toolkit.
    version: Option<String>,
}

/// The scopes that tools need.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RequiredScopes")]
pub struct RequiredScopes<'a> {
    /// Scopes that are enough for all of them.
    scopes_required: Vec<&'a str>,
    /// Tool by tool.
    per_tool_requirements: Vec<ToolScopes<'a>>,
}

/// The scopes that a tool needs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolScopes<'a> {
    /// Its slug.
    tool: &'a str,
    /// Absent if it needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope_requirements: Option<ScopeRequirements<'a>>,
}

/// Body of `POST /toolkits/{slug}/scopes/recommended`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "RecommendedScopesBody")]
pub struct RecommendBody {
    /// Slugs of tools of the toolkit; all of them when empty.
    tools: Vec<String>,
    /// OAUTH2 or another scheme with scopes of the toolkit.
    auth_scheme: Option<String>,
    /// `latest` or a version of the toolkit.
    toolkit_version: Option<String>,
    /// Nothing depends on it here: no effect.
    #[expect(dead_code, reason = "accepted without an effect")]
    grant_context: Option<BTreeMap<String, String>>,
    /// Scopes that are asked for anyway.
    include: Option<Vec<String>>,
    /// Scopes that are not to be asked for.
    exclude: Option<Vec<String>>,
    /// All scopes that can be asked for.
    available_scopes: Option<Vec<String>>,
}

/// Scopes to ask for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Recommendation {
    /// The scheme.
    auth_scheme: &'static str,
    /// The version of the toolkit.
    toolkit_version: String,
    /// Always empty.
    grant_context: BTreeMap<String, String>,
    /// Scopes that are enough for the tools.
    scopes: RecommendedSets,
}

/// Two sets of scopes, each enough for all tools.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RecommendedScopeSets")]
struct RecommendedSets {
    /// For each tool what it prefers, without what is unnecessary beside that.
    least_privilege: BTreeSet<String>,
    /// As few scopes as possible.
    fewest: BTreeSet<String>,
    /// Always empty: no scope depends on a context here.
    conditional: [String; 0],
}

/// What the scopes of a toolkit depend on.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "names of the contract")]
pub struct GrantContext {
    /// The scheme.
    auth_scheme: &'static str,
    /// The version of the toolkit.
    toolkit_version: String,
    /// Always empty: scopes depend on the tools alone here.
    grant_context_dimensions: [String; 0],
    /// Always empty.
    default_grant_context: BTreeMap<String, String>,
}

/// `POST /tools/scopes/required` → 200.
pub async fn required(
    State(app): State<Arc<App>>,
    body: JsonBody<ScopesBody>,
) -> std::result::Result<Response, ApiError> {
    let body = body.value;
    if body.tools.is_empty() {
        return Err(Error::field("tools", "must hold at least one tool").into());
    }
    let mut found = Vec::with_capacity(body.tools.len());
    for slug in &body.tools {
        found.push(app.tools.find_version(slug, body.version.as_deref(), "payload.version").await?);
    }
    for tool in &found {
        if tool.toolkit.slug != found[0].toolkit.slug {
            return Err(Error::field("tools", "must be tools of one toolkit").into());
        }
    }
    let mut scopes: Vec<&str> = found.iter().flat_map(|found| fewest_scopes(&found.row)).map(String::as_str).collect();
    scopes.sort_unstable();
    scopes.dedup();
    let per_tool = found
        .iter()
        .map(|found| ToolScopes { tool: &found.row.slug, scope_requirements: scope_requirements(&found.row) });
    let answer = RequiredScopes { scopes_required: scopes, per_tool_requirements: per_tool.collect() };
    Ok(json(StatusCode::OK, &answer)?)
}

/// `POST /toolkits/{slug}/scopes/recommended` → 200.
pub async fn recommended(
    State(app): State<Arc<App>>,
    Id(slug): Id,
    body: JsonBody<RecommendBody>,
) -> std::result::Result<Response, ApiError> {
    let body = body.value;
    let toolkit = app.core.toolkit(&slug).ok_or_else(|| toolkit_not_found(&slug))?;
    let version = app.versions.named(&toolkit, body.toolkit_version.as_deref(), "payload.toolkit_version").await?;
    let scheme = scheme(&toolkit, body.auth_scheme.as_deref(), Error::field)?;
    let slugs: BTreeSet<String> = if body.tools.is_empty() {
        version.tools().iter().map(|row| row.slug.clone()).collect()
    } else {
        body.tools.iter().map(|slug| slug.to_ascii_uppercase()).collect()
    };
    let find = |slug: &String| version.tool(slug).map_or_else(|| app.tools.find(slug), Ok);
    let found = slugs.iter().map(find).collect::<Result<Vec<_>>>()?;
    if found.iter().any(|found| found.toolkit.slug != toolkit.slug) {
        return Err(Error::field("tools", format!("must be tools of {}", toolkit.slug)).into());
    }
    let choice = ScopeChoice {
        include: body.include.unwrap_or_default().into_iter().collect(),
        exclude: body.exclude.unwrap_or_default().into_iter().collect(),
        available: body.available_scopes.unwrap_or_default().into_iter().collect(),
    };
    let scopes = Tools::recommended_scopes(&found, &choice)?;
    let answer = Recommendation {
        auth_scheme: scheme.as_str(),
        toolkit_version: version.version().to_owned(),
        grant_context: BTreeMap::new(),
        scopes: RecommendedSets { least_privilege: scopes.least_privilege, fewest: scopes.fewest, conditional: [] },
    };
    Ok(json(StatusCode::OK, &answer)?)
}

/// `GET /toolkits/{slug}/scopes/grant_context` → 200.
pub async fn grant_context(
    State(app): State<Arc<App>>,
    Id(slug): Id,
    query: Query,
) -> std::result::Result<Response, ApiError> {
    let toolkit = app.core.toolkit(&slug).ok_or_else(|| toolkit_not_found(&slug))?;
    let version = app.versions.named(&toolkit, query.text("toolkit_version"), "query.toolkit_version").await?;
    let scheme = scheme(&toolkit, query.text("auth_scheme"), |key, problem| wrong(key, &problem))?;
    let answer = GrantContext {
        auth_scheme: scheme.as_str(),
        toolkit_version: version.version().to_owned(),
        grant_context_dimensions: [],
        default_grant_context: BTreeMap::new(),
    };
    Ok(json(StatusCode::OK, &answer)?)
}

/// A scheme of the toolkit that has scopes: the given one, or the first.
fn scheme(toolkit: &Toolkit, given: Option<&str>, wrong: impl Fn(&str, String) -> Error) -> Result<Scheme> {
    let with_scopes: Vec<Scheme> =
        toolkit.schemes().into_iter().filter(|scheme| toolkit.oauth(*scheme).is_some()).collect();
    let names = || with_scopes.iter().map(|scheme| scheme.as_str()).collect::<Vec<_>>().join(", ");
    match given {
        Some(given) => {
            with_scopes.iter().copied().find(|scheme| scheme.as_str() == given).ok_or_else(|| {
                wrong("auth_scheme", format!("must be a scheme of the toolkit with scopes: {}", names()))
            })
        }
        None => with_scopes
            .first()
            .copied()
            .ok_or_else(|| wrong("auth_scheme", format!("toolkit {} has no scheme with scopes", toolkit.slug))),
    }
}
