//! Further results: where the next page begins, and how pages become one answer.

use serde_json::Value;
use switchboard_catalog::{Paging, PagingStyle, Tool};

use crate::Arguments;

/// Results of one answer, and where those after it begin.
#[derive(Clone, Debug, PartialEq)]
pub struct PageOfResults {
    /// The value of the paging argument for the next page; none on the last one.
    pub next: Option<Value>,
    /// Number of results.
    pub count: usize,
}

/// The page that an answer is; none if the tool has no pages or the answer has no list where it should be.
///
/// `body` is the provider's answer, and `link` its header `Link` (RFC 8288).
pub fn page(tool: &Tool, arguments: &Arguments, body: &Value, link: Option<&str>) -> Option<PageOfResults> {
    let paging = tool.paging.as_ref()?;
    let items = body.pointer(&paging.items)?.as_array()?;
    let count = items.len();
    let is_last = paging.has_more.as_deref().is_some_and(|pointer| body.pointer(pointer) != Some(&Value::Bool(true)));
    let next = if is_last { None } else { next(tool, paging, arguments, body, link, items) };
    Some(PageOfResults { next, count })
}

/// Appends the results of a later answer to an earlier one. Returns their number.
pub fn append(tool: &Tool, earlier: &mut Value, later: &mut Value) -> usize {
    let Some(paging) = &tool.paging else { return 0 };
    let added = later.pointer_mut(&paging.items).map(Value::take);
    match (earlier.pointer_mut(&paging.items), added) {
        (Some(Value::Array(items)), Some(Value::Array(added))) => {
            let count = added.len();
            items.extend(added);
            count
        }
        _ => 0,
    }
}

fn next(
    tool: &Tool,
    paging: &Paging,
    arguments: &Arguments,
    body: &Value,
    link: Option<&str>,
    items: &[Value],
) -> Option<Value> {
    let count = i64::try_from(items.len()).ok()?;
    let size = paging.size.as_ref().and_then(|size| number(tool, arguments, size));
    // A page that is not full is the last one.
    let is_full = count > 0 && size.is_none_or(|size| count >= size);
    match paging.style {
        PagingStyle::Cursor => {
            let position = match (&paging.next, &paging.last_item) {
                (Some(next), _) => body.pointer(next),
                (None, Some(last_item)) => items.last().and_then(|item| item.pointer(last_item)),
                (None, None) => None,
            };
            position_of(tool, paging, position?)
        }
        PagingStyle::Page if is_full => {
            number(tool, arguments, &paging.argument).unwrap_or(1).checked_add(1).map(Value::from)
        }
        PagingStyle::Offset if is_full => {
            number(tool, arguments, &paging.argument).unwrap_or(0).checked_add(count).map(Value::from)
        }
        PagingStyle::Page | PagingStyle::Offset => None,
        PagingStyle::Link => typed(tool, paging, &in_url(tool, paging, next_link(link?)?)?),
    }
}

/// A position in an answer; a URL names it in its query.
fn position_of(tool: &Tool, paging: &Paging, position: &Value) -> Option<Value> {
    match position {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) if text.starts_with("https://") || text.starts_with("http://") => {
            let takes_url = tool
                .input
                .get(&paging.argument)
                .is_some_and(|argument| argument.schema.get("format") == Some(&"uri".into()));
            if takes_url { Some(position.clone()) } else { typed(tool, paging, &in_url(tool, paging, text)?) }
        }
        Value::String(text) => typed(tool, paging, text),
        Value::Number(_) => Some(position.clone()),
        _ => None,
    }
}

/// The value of the paging argument in the query of a URL.
fn in_url(tool: &Tool, paging: &Paging, url: &str) -> Option<String> {
    let argument = tool.input.get(&paging.argument)?;
    let name = argument.wire_name.as_deref().unwrap_or(&paging.argument);
    let query = url.split_once('?')?.1;
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A text as a value of the argument's type.
fn typed(tool: &Tool, paging: &Paging, text: &str) -> Option<Value> {
    let argument = tool.input.get(&paging.argument)?;
    match argument.schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number") => text.parse::<i64>().ok().map(Value::from),
        _ => Some(text.into()),
    }
}

/// The target of `rel="next"` in a header `Link`.
fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let parameters = after.split_once('<').map_or(after, |(parameters, _)| parameters);
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.trim().split_once('=').is_some_and(|(name, value)| {
                let mut relations = value.trim().trim_matches('"').split(' ');
                name.trim().eq_ignore_ascii_case("rel") && relations.any(|rel| rel.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(target);
        }
        rest = after;
    }
}

/// The number in an argument, or its default.
fn number(tool: &Tool, arguments: &Arguments, name: &str) -> Option<i64> {
    let given = arguments.get(name).or_else(|| tool.input.get(name)?.schema.get("default"))?;
    given.as_i64()
}
