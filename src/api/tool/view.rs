//! A tool as clients get it (contract section 6.5).

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use switchboard_catalog::Tool;

use crate::api::toolkit::view::logo_url;
use crate::app::App;
use crate::app::base::tools::FoundTool;
use crate::app::meta::definitions::{MetaTool, VERSION};
use crate::app::session::policy::Tag;
use crate::app::tool::list::is_deprecated;
use crate::app::tool::tags;

/// A tool.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Tool")]
pub struct ToolItem<'a> {
    /// Upper case; begins with the toolkit's slug.
    slug: &'a str,
    /// Name for people.
    name: &'a str,
    /// What it does, for a model.
    description: &'a str,
    /// Its toolkit.
    toolkit: ToolkitOfTool<'a>,
    /// JSON Schema of the arguments.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    input_parameters: &'a RawValue,
    /// JSON Schema of the result. It describes; a result is never refused for it.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    output_parameters: &'a RawValue,
    /// Whether it is used without an account.
    no_auth: bool,
    /// The versions of the toolkit that can be called. In a session: the one that it uses.
    available_versions: Vec<&'a str>,
    /// This version: one of the toolkit.
    version: &'a str,
    /// Scopes that are enough.
    scopes: &'a [String],
    /// Which scopes are enough, if there are alternatives.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope_requirements: Option<ScopeRequirements<'a>>,
    /// Behaviour hints; one of `readOnlyHint`, `createHint`, `updateHint` and `destructiveHint`.
    tags: Vec<Tag>,
    /// The same as `name`.
    human_description: &'a str,
    /// Whether it will be removed.
    is_deprecated: bool,
    /// Older names.
    deprecated: DeprecatedTool<'a>,
}

/// The toolkit of a tool.
#[derive(Debug, Serialize, JsonSchema)]
struct ToolkitOfTool<'a> {
    /// Lower case.
    slug: &'a str,
    /// Display name.
    name: &'a str,
    /// URL of an image on this server.
    logo: String,
}

/// Older names of a tool's values.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolDeprecated")]
struct DeprecatedTool<'a> {
    /// Name for people.
    #[serde(rename = "displayName")]
    display_name: &'a str,
    /// The version.
    version: &'a str,
    /// The versions that can be called.
    available_versions: Vec<&'a str>,
    /// Whether it will be removed.
    is_deprecated: bool,
    /// Its toolkit.
    toolkit: DeprecatedToolkit,
}

/// The toolkit of a tool, by its older names.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolDeprecatedToolkit")]
struct DeprecatedToolkit {
    /// URL of an image on this server.
    logo: String,
}

/// Scopes that a call needs: all of these.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ScopeRequirements<'a> {
    /// All of these.
    all_of: [Alternatives<'a>; 1],
}

/// One of these.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ScopeAlternatives")]
struct Alternatives<'a> {
    /// One of these.
    any_of: Vec<Alternative<'a>>,
}

/// A scope, or several that are needed together.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ScopeAlternative")]
enum Alternative<'a> {
    /// A scope.
    One(&'a str),
    /// Several.
    All {
        /// All of these.
        all_of: &'a [String],
    },
}

/// A tool and the versions of its toolkit.
pub fn item<'a>(app: &App, found: &'a FoundTool, versions: &'a [String]) -> ToolItem<'a> {
    item_with(app, found, versions.iter().map(String::as_str).collect())
}

/// A tool of a session. It has one version there, so that its bytes stay the same when the toolkit gets another one.
pub fn item_of_session<'a>(app: &App, found: &'a FoundTool) -> ToolItem<'a> {
    item_with(app, found, vec![found.version()])
}

fn item_with<'a>(app: &App, found: &'a FoundTool, versions: Vec<&'a str>) -> ToolItem<'a> {
    let (toolkit, row) = (&found.toolkit, &found.row);
    let logo = logo_url(app, &toolkit.slug);
    ToolItem {
        slug: &row.slug,
        name: &row.title,
        description: &row.description,
        toolkit: ToolkitOfTool { slug: &toolkit.slug, name: found.toolkit_name(), logo: logo.clone() },
        input_parameters: &row.input_schema,
        output_parameters: &row.output_schema,
        no_auth: toolkit.has_only_no_auth(),
        available_versions: versions.clone(),
        version: found.version(),
        scopes: fewest_scopes(row),
        scope_requirements: scope_requirements(row),
        tags: tags(row),
        human_description: &row.title,
        is_deprecated: is_deprecated(row),
        deprecated: DeprecatedTool {
            display_name: &row.title,
            version: found.version(),
            available_versions: versions,
            is_deprecated: is_deprecated(row),
            toolkit: DeprecatedToolkit { logo },
        },
    }
}

/// A meta tool. Its toolkit is named as in the hosted service, which clients look for.
pub fn meta_item(app: &App, tool: &'static MetaTool) -> ToolItem<'static> {
    let logo = logo_url(app, "composio");
    ToolItem {
        slug: tool.slug,
        name: tool.title,
        description: tool.description,
        toolkit: ToolkitOfTool { slug: "COMPOSIO", name: "composio", logo: logo.clone() },
        input_parameters: &tool.input_schema,
        output_parameters: &tool.output_schema,
        no_auth: true,
        available_versions: vec![VERSION],
        version: VERSION,
        scopes: &[],
        scope_requirements: None,
        tags: tool.tags.clone(),
        human_description: tool.title,
        is_deprecated: false,
        deprecated: DeprecatedTool {
            display_name: tool.title,
            version: VERSION,
            available_versions: vec![VERSION],
            is_deprecated: false,
            toolkit: DeprecatedToolkit { logo },
        },
    }
}

/// The alternative with the fewest scopes, the preferred one among several. That a tool also works without scopes does
/// not count.
pub fn fewest_scopes(tool: &Tool) -> &[String] {
    let needed = tool.scopes.iter().filter(|scopes| !scopes.is_empty());
    needed.min_by_key(|scopes| scopes.len()).map(Vec::as_slice).unwrap_or_default()
}

/// The scopes that a call needs; none if it works without.
pub fn scope_requirements(tool: &Tool) -> Option<ScopeRequirements<'_>> {
    if tool.scopes.iter().any(Vec::is_empty) {
        return None;
    }
    let any_of = tool.scopes.iter().map(|scopes| match scopes.as_slice() {
        [scope] => Alternative::One(scope),
        scopes => Alternative::All { all_of: scopes },
    });
    let any_of: Vec<_> = any_of.collect();
    (!any_of.is_empty()).then_some(ScopeRequirements { all_of: [Alternatives { any_of }] })
}
