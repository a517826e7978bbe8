//! A tool of the command's toolkit, described for its author.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Map, Value, json};
use switchboard_catalog::{Argument, Effect, Location, Style, Tool, ToolRow, Toolkit};
use switchboard_tools::{ArgumentCheck, Arguments, Mistake, nearest};

/// The tool with a slug in any case.
///
/// # Errors
/// There is none; names one that is like it.
pub(super) fn find<'t>(toolkit: &'t Toolkit, slug: &str) -> Result<&'t ToolRow> {
    let known = || toolkit.tools().iter().map(|tool| tool.slug.as_str());
    let hint = || match nearest(slug, known()) {
        Some(known) => format!("did you mean {known}?"),
        None if toolkit.tools().is_empty() => "it has no tools; they are in tools.toml beside its file".to_owned(),
        None => format!("it has {}", known().take(20).collect::<Vec<_>>().join(", ")),
    };
    toolkit.tool(slug).map(AsRef::as_ref).ok_or_else(|| anyhow!("{} has no tool {slug:?}; {}", toolkit.slug, hint()))
}

/// The arguments as the tool takes them.
///
/// # Errors
/// What does not fit.
pub(super) fn check(tool: &ToolRow, arguments: &Map<String, Value>) -> Result<Arguments> {
    let check = ArgumentCheck::new(tool).map_err(|error| anyhow!("{}: {error}", tool.slug))?;
    check.check(arguments.clone()).map_err(|mistakes| wrong_arguments(&mistakes))
}

/// What is wrong with arguments.
pub(super) fn wrong_arguments(mistakes: &[Mistake]) -> anyhow::Error {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
    anyhow!("the arguments do not fit the tool:{}", lines.concat())
}

/// What a tool does to the provider's data, in a word.
pub(super) fn effect(tool: &Tool) -> &'static str {
    match tool.effect {
        Effect::Read => "read",
        Effect::Create => "create",
        Effect::Update => "update",
        Effect::Destructive => "destructive",
    }
}

/// The tool as JSON.
///
/// # Errors
/// None in practice: what was loaded can be written.
pub(super) fn json(toolkit: &Toolkit, tool: &ToolRow) -> Result<Value> {
    let schema = |text: &str| serde_json::from_str::<Value>(text).context("a schema that is not JSON");
    Ok(json!({
        "slug": tool.slug,
        "toolkit": toolkit.slug,
        "title": tool.title,
        "description": tool.description,
        "use_cases": tool.use_cases,
        "effect": effect(tool),
        "idempotent": tool.idempotent,
        "open_world": tool.open_world,
        "method": tool.method,
        "path": tool.path,
        "scopes": tool.scopes,
        "verify_with": tool.verify_with,
        "input_parameters": schema(tool.input_schema.get())?,
        "output_parameters": schema(tool.output_schema.get())?,
    }))
}

/// The tool for people.
pub(super) fn text(tool: &ToolRow) -> String {
    let mut page = format!("{} ({}): {}\n{}\n\n", tool.slug, effect(tool), tool.title, tool.description);
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "  {label:<14}{value}");
        }
    };
    line("Request", &format!("{} {}", key(tool.method), tool.path));
    let scopes: Vec<String> = tool.scopes.iter().map(|scopes| scopes.join(" and ")).collect();
    line("Scopes", &scopes.join(", or "));
    let hints = [(tool.idempotent, "idempotent"), (tool.open_world, "reaches others"), (tool.deprecated, "deprecated")];
    let hints: Vec<&str> = hints.into_iter().filter(|(holds, _)| *holds).map(|(_, hint)| hint).collect();
    line("Hints", &hints.join(", "));
    line("Verify with", tool.verify_with.as_deref().unwrap_or_default());
    line("Replaced by", tool.replaced_by.as_deref().unwrap_or_default());
    for (number, sentence) in tool.use_cases.iter().enumerate() {
        line(if number == 0 { "Used for" } else { "" }, sentence);
    }
    let arguments: Vec<String> =
        tool.input.iter().map(|(name, argument)| argument_line(tool, name, argument)).collect();
    section(&mut page, "Arguments", &arguments);
    let output = tool.output.iter().map(|(name, schema)| format!("{name} ({}): {}", kind(schema), description(schema)));
    section(&mut page, "Result", &output.collect::<Vec<_>>());
    page
}

fn section(page: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(page, "\n{title}");
        for line in lines {
            let _ = writeln!(page, "  - {line}");
        }
    }
}

fn argument_line(tool: &Tool, name: &str, argument: &Argument) -> String {
    let place = match tool.location(name, argument) {
        Location::Path => "in the path",
        Location::Query => "in the query",
        Location::Header => "in a header",
        Location::Body => "in the body",
    };
    let wire_name = tool.wire_name(name, argument);
    let place = if wire_name == name { place.to_owned() } else { format!("{place} as {wire_name}") };
    let words = [
        Some(kind(&argument.schema)),
        argument.required.then(|| "required".to_owned()),
        Some(place),
        argument.style.map(|style: Style| format!("style {}", key(style))),
        argument.schema.get("default").map(|value| format!("default {value}")),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    format!("{name} ({}): {}", words.join(", "), description(&argument.schema))
}

/// The type of a schema, with what it may be.
fn kind(schema: &Map<String, Value>) -> String {
    let nested = |name: &str| schema.get(name).and_then(Value::as_object).map(kind).unwrap_or_default();
    if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
        return options.iter().filter_map(Value::as_object).map(kind).collect::<Vec<_>>().join(" or ");
    }
    let texts = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !texts.is_empty() {
        return texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    if schema.get("file_uploadable") == Some(&Value::Bool(true)) {
        return "file".to_owned();
    }
    match schema.get("type").and_then(Value::as_str).unwrap_or("object") {
        "array" => format!("array of {}", nested("items")),
        kind => {
            let range: Vec<String> = ["minimum", "maximum", "minLength", "maxLength"]
                .into_iter()
                .filter_map(|name| schema.get(name).map(|bound| format!(" {name} {bound}")))
                .collect();
            format!("{kind}{}", range.concat())
        }
    }
}

fn description(schema: &Map<String, Value>) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or_default()
}

/// The name of a value in tool files.
fn key(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
