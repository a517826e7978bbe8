//! The caller's custom tools and toolkits. They run in the caller's process. The server validates and returns
//! them with the slugs that agents see (contract section 2.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::policy::Experimental;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

const MAX_SLUG: usize = 60;

/// A toolkit of the caller.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct CustomToolkit {
    /// Letters, digits, `_` and `-`.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_-]+$"))]
    pub slug: String,
    /// 1 to 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// 1 to 2,048 characters.
    #[schemars(length(min = 1, max = 2_048))]
    pub description: String,
    /// 1 to 100 tools.
    #[schemars(length(min = 1, max = 100))]
    pub tools: Vec<CustomTool>,
    /// List its tools from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<bool>,
}

/// A tool of the caller.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct CustomTool {
    /// Letters, digits, `_` and `-`; prefixed in answers, where it has at most 60 characters.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_-]+$"))]
    pub slug: String,
    /// 1 to 128 characters.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// 1 to 5,120 characters.
    #[schemars(length(min = 1, max = 5_120))]
    pub description: String,
    /// JSON Schema, `type: object` with `properties`.
    #[schemars(extend("required" = ["type", "properties"], "properties" = {
        "type": { "const": "object" }, "properties": { "type": "object" },
    }))]
    pub input_schema: Map<String, Value>,
    /// JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Map<String, Value>>,
    /// Slug as the caller wrote it; only in answers.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub original_slug: Option<String>,
    /// Shown beside that toolkit's tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends_toolkit: Option<String>,
    /// List it from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preload: Option<bool>,
}

/// Validates the custom tools and sets their final slugs: `LOCAL_<TOOLKIT>_<TOOL>`.
pub fn prepare(experimental: &mut Experimental) -> Result<()> {
    for toolkit in experimental.custom_toolkits.iter_mut().flatten() {
        let at = format!("experimental.custom_toolkits.{}", truncate(&toolkit.slug));
        check_text(&at, &toolkit.slug, &toolkit.name, &toolkit.description, 2_048)?;
        if toolkit.tools.is_empty() || toolkit.tools.len() > 100 {
            return Err(Error::field(&format!("{at}.tools"), "must hold 1 to 100 tools"));
        }
        let prefix = format!("LOCAL_{}_", toolkit.slug.to_ascii_uppercase());
        for tool in &mut toolkit.tools {
            prepare_tool(tool, &prefix, &at)?;
        }
    }
    for tool in experimental.custom_tools.iter_mut().flatten() {
        prepare_tool(tool, "LOCAL_", "experimental.custom_tools")?;
    }
    check_unique(experimental)
}

fn check_unique(experimental: &Experimental) -> Result<()> {
    let in_toolkits = experimental.custom_toolkits.iter().flatten().flat_map(|toolkit| &toolkit.tools);
    let mut slugs: Vec<&str> =
        in_toolkits.chain(experimental.custom_tools.iter().flatten()).map(|tool| tool.slug.as_str()).collect();
    slugs.sort_unstable();
    match slugs.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::field("experimental", format!("two custom tools have the slug {}", pair[0]))),
        None => Ok(()),
    }
}

fn prepare_tool(tool: &mut CustomTool, prefix: &str, at: &str) -> Result<()> {
    let at = format!("{at}.{}", truncate(&tool.slug));
    check_text(&at, &tool.slug, &tool.name, &tool.description, 5_120)?;
    let is_object = tool.input_schema.get("type").is_some_and(|kind| kind == "object");
    if !is_object || !tool.input_schema.get("properties").is_some_and(Value::is_object) {
        return Err(Error::new(
            Code::SessionBadRequest,
            format!("input_schema of {at} must be of type object with properties"),
        )
        .fix("Give `{\"type\": \"object\", \"properties\": {}}` at least."));
    }
    let slug = format!("{prefix}{}", tool.slug.to_ascii_uppercase());
    if slug.len() > MAX_SLUG {
        return Err(Error::field(&at, format!("its final slug is longer than {MAX_SLUG} characters")));
    }
    tool.original_slug = Some(std::mem::replace(&mut tool.slug, slug));
    Ok(())
}

fn check_text(at: &str, slug: &str, name: &str, description: &str, max_length: usize) -> Result<()> {
    let is_slug = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if slug.is_empty() || !slug.bytes().all(is_slug) {
        return Err(Error::field(&format!("{at}.slug"), "must match ^[a-zA-Z0-9_-]+$"));
    }
    if !(1..=128).contains(&name.chars().count()) {
        return Err(Error::field(&format!("{at}.name"), "must have 1 to 128 characters"));
    }
    if !(1..=max_length).contains(&description.chars().count()) {
        return Err(Error::field(&format!("{at}.description"), format!("must have 1 to {max_length} characters")));
    }
    Ok(())
}
