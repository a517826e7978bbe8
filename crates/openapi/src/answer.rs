//! What a tool returns: properties of the result, files, and further results.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::body::essence;
use crate::operation::Operation;
use crate::reference::Document;
use crate::schema::{At, Direction, Emitter, Fail, Kind, Node, Parts};
use crate::tool::deepest;

/// Maximum size of the properties of a result, in bytes of JSON. They are advice, and cost as much as arguments.
const MAX_OUTPUT: usize = 4 * 1024;
/// Arguments with a position that comes from the answer before.
const CURSORS: [&str; 13] = [
    "cursor",
    "page_token",
    "pagetoken",
    "next_token",
    "nexttoken",
    "next_cursor",
    "nextcursor",
    "continuation_token",
    "continuationtoken",
    "starting_after",
    "after",
    "marker",
    "start_cursor",
];
/// Where the next position is in an answer.
const NEXT: [&str; 14] = [
    "/next_cursor",
    "/nextCursor",
    "/next_page_token",
    "/nextPageToken",
    "/next_token",
    "/nextToken",
    "/response_metadata/next_cursor",
    "/meta/next_cursor",
    "/meta/nextCursor",
    "/pagination/next_cursor",
    "/paging/next/after",
    "/continuation_token",
    "/next_page/offset",
    "/cursor",
];
const SIZES: [&str; 13] = [
    "per_page",
    "perpage",
    "page_size",
    "pagesize",
    "limit",
    "max_results",
    "maxresults",
    "size",
    "count",
    "pagelen",
    "max-results",
    "page[size]",
    "maxitems",
];
const OFFSETS: [&str; 4] = ["offset", "skip", "start", "startat"];
const PAGES: [&str; 4] = ["page", "page_number", "pagenumber", "page[number]"];

/// What a tool returns.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) output: Map<String, Value>,
    pub(crate) download: bool,
    pub(crate) paging: Option<Value>,
    /// A member that says whether a successful status is a success.
    pub(crate) success_member: Option<&'static str>,
}

/// The answer of an operation. `arguments` are names at the provider and in the tool, of the query.
pub(crate) fn answer(document: &Document, operation: &Operation<'_>, arguments: &BTreeMap<String, String>) -> Answer {
    let responses = operation.value.get("responses").and_then(Value::as_object);
    let successful: Vec<&Value> = responses
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2'))
        .filter_map(|(_, response)| document.value(response))
        .collect();
    let content = || {
        successful.iter().flat_map(|response| response.get("content").and_then(Value::as_object).into_iter().flatten())
    };
    let is_json =
        |media_type: &str| media_type.ends_with("/json") || media_type.ends_with("+json") || media_type == "*/*";
    let json = content().find(|(name, media)| is_json(&essence(name)) && media.get("schema").is_some());
    let Some((name, media)) = json else {
        let is_file = |name: &str| !(name.starts_with("text/") || name.ends_with("xml") || is_json(name));
        return Answer {
            download: content().next().is_some() && content().all(|(name, _)| is_file(&essence(name))),
            ..Answer::default()
        };
    };
    let schema = &media["schema"];
    if essence(name) == "*/*"
        && document.value(schema).is_some_and(|schema| schema.get("format").is_some_and(|format| format == "binary"))
    {
        return Answer { download: true, ..Answer::default() };
    }
    let node = Node::One(schema);
    let has_link = successful.iter().any(|response| {
        response
            .get("headers")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
            .any(|name| name.eq_ignore_ascii_case("link"))
    });
    let mut emitter = Emitter::new(document, Direction::Output, 3);
    let Ok(parts) = emitter.parts(&node, &[]) else { return Answer::default() };
    Answer {
        paging: paging(&mut emitter, &parts, arguments, has_link, &operation.method),
        success_member: ["ok", "success"].into_iter().find(|name| is_success(&mut emitter, &parts, name)),
        output: output(document, &node),
        download: false,
    }
}

fn is_success<'d>(emitter: &mut Emitter<'d>, parts: &Parts<'d>, name: &str) -> bool {
    let member = parts.by_kind.get(&Kind::Object).and_then(|flat| flat.properties.get(name));
    member.is_some_and(|node| emitter.parts(node, &[]).is_ok_and(|parts| parts.by_kind.keys().eq([&Kind::Boolean])))
}

/// The properties of the result, as deep as there is room.
fn output(document: &Document, node: &Node<'_>) -> Map<String, Value> {
    let written = deepest(4, |depth| {
        let mut emitter = Emitter::new(document, Direction::Output, depth);
        let output = properties(&mut emitter, node).map_err(|_| String::new())?;
        let fits = !emitter.is_exhausted() && Value::Object(output.clone()).to_string().len() <= MAX_OUTPUT;
        Ok((output, fits))
    });
    fitting(written.unwrap_or_default())
}

/// The first properties that fit, the shortest names first.
fn fitting(output: Map<String, Value>) -> Map<String, Value> {
    let mut properties: Vec<(String, Value)> = output.into_iter().collect();
    properties.sort_by_key(|(name, _)| name.len());
    let mut size = 0;
    let fits = |(name, schema): &(String, Value)| {
        size += name.len() + schema.to_string().len() + 4;
        size <= MAX_OUTPUT
    };
    properties.into_iter().take_while(fits).collect()
}

fn properties<'d>(emitter: &mut Emitter<'d>, node: &Node<'d>) -> Result<Map<String, Value>, Fail> {
    let mut parts = emitter.parts(node, &[])?;
    let only = parts.by_kind.len() == 1;
    let mut output = Map::new();
    if let Some(flat) = parts.by_kind.remove(&Kind::Object).filter(|_| only) {
        let at = At::top(parts.own);
        for (name, node) in flat.properties {
            if !crate::schema::is_name(name) {
                continue;
            }
            match emitter.property(name, &node, false, &at) {
                Ok(Some(schema)) => drop(output.insert(name.to_owned(), schema.into())),
                Ok(None) | Err(Fail::TooDeep | Fail::Never) => {}
                Err(error) => return Err(error),
            }
        }
        return Ok(output);
    }
    let name = if only && parts.by_kind.contains_key(&Kind::Array) { "items" } else { "value" };
    match emitter.property(name, node, false, &At::top(Vec::new())) {
        Ok(Some(schema)) => drop(output.insert(name.to_owned(), schema.into())),
        Ok(None) | Err(Fail::TooDeep | Fail::Never) => {}
        Err(error) => return Err(error),
    }
    Ok(output)
}

/// How further results are fetched, if arguments and answer say so.
fn paging<'d>(
    emitter: &mut Emitter<'d>,
    parts: &Parts<'d>,
    arguments: &BTreeMap<String, String>,
    has_link: bool,
    method: &str,
) -> Option<Value> {
    if method != "GET" {
        return None;
    }
    let items = items(emitter, parts)?;
    let argument = |known: &[&str]| {
        arguments
            .iter()
            .find(|(wire_name, _)| known.contains(&wire_name.to_ascii_lowercase().as_str()))
            .map(|(_, name)| name)
    };
    let mut paging = Map::new();
    paging.insert("items".to_owned(), items.into());
    if let Some(size) = argument(&SIZES) {
        paging.insert("size".to_owned(), size.as_str().into());
    }
    let mut say = |style: &str, name: &str| {
        paging.insert("style".to_owned(), style.into());
        paging.insert("argument".to_owned(), name.into());
    };
    if let Some(cursor) = argument(&CURSORS) {
        if cursor == "starting_after" && has(emitter, parts, "/has_more") {
            say("cursor", cursor);
            paging.insert("last_item".to_owned(), "/id".into());
            paging.insert("has_more".to_owned(), "/has_more".into());
            return Some(paging.into());
        }
        if let Some(next) = NEXT.iter().find(|pointer| has(emitter, parts, pointer)) {
            say("cursor", cursor);
            paging.insert("next".to_owned(), (*next).into());
            return Some(paging.into());
        }
    }
    if let Some(page) = argument(&PAGES) {
        say(if has_link { "link" } else { "page" }, page);
        return Some(paging.into());
    }
    let offset = argument(&OFFSETS)?;
    say("offset", offset);
    Some(paging.into())
}

/// The pointer of the list in an answer: the answer itself, or the only list of objects in it.
fn items<'d>(emitter: &mut Emitter<'d>, parts: &Parts<'d>) -> Option<String> {
    if parts.by_kind.keys().eq([&Kind::Array]) {
        return Some(String::new());
    }
    let flat = parts.by_kind.get(&Kind::Object)?;
    let mut lists = Vec::new();
    for (name, node) in &flat.properties {
        if emitter.parts(node, &[]).is_ok_and(|parts| parts.by_kind.contains_key(&Kind::Array)) {
            lists.push(*name);
        }
    }
    let name = match lists.as_slice() {
        [only] => only,
        several => ["data", "items", "results", "values", "entries"].iter().find(|name| several.contains(name))?,
    };
    Some(format!("/{}", name.replace('~', "~0").replace('/', "~1")))
}

/// Whether an answer has a member at a pointer.
fn has<'d>(emitter: &mut Emitter<'d>, parts: &Parts<'d>, pointer: &str) -> bool {
    let mut names = pointer.split('/').skip(1);
    let Some(mut node) = names.next().and_then(|name| parts.by_kind.get(&Kind::Object)?.properties.get(name).cloned())
    else {
        return false;
    };
    for name in names {
        let Ok(inner) = emitter.parts(&node, &[]) else { return false };
        match inner.by_kind.get(&Kind::Object).and_then(|flat| flat.properties.get(name)) {
            Some(found) => node = found.clone(),
            None => return false,
        }
    }
    true
}

/// A suggestion for `error_when`, as text.
pub(crate) fn suggestion(member: &str) -> String {
    format!(
        "answers have `{member}`: if it is false in failures with status 200, add error_when = {{ pointer = \"/{member}\", equals = false }}"
    )
}

/// An answer for the definition of a tool.
pub(crate) fn write(answer: Answer, definition: &mut Map<String, Value>) {
    if answer.download {
        definition.insert("download".to_owned(), json!(true));
    }
    if !answer.output.is_empty() {
        definition.insert("output".to_owned(), answer.output.into());
    }
    if let Some(paging) = answer.paging {
        definition.insert("paging".to_owned(), paging);
    }
}
