//! One operation as the definition of a tool: an object with the keys of `[[tools]]`.

mod depth;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

pub(crate) use self::depth::deepest;
use self::depth::written;
use crate::answer;
use crate::body::{self, Body};
use crate::effect;
use crate::name::{argument_name, tool_words};
use crate::operation::Operation;
use crate::parameter::{self, Field, Location, Shape, path_names, style};
use crate::reference::Document;
use crate::schema::{Direction, Emitter, Fail, MAX_PROPERTIES, free_object};
use crate::security::Security;
use crate::text::{capitalized, clean, clip, first_sentence, sentence};

/// Maximum size of the schema of all arguments in bytes; a little is left for required names.
const MAX_SCHEMA: usize = 22 * 1024;
/// The argument with what has no room, or no name.
const MORE: &str = "additional_fields";

/// What the definitions of all tools need.
#[derive(Debug)]
pub(crate) struct Context<'d> {
    pub(crate) document: &'d Document,
    pub(crate) security: &'d Security,
    /// Name of the toolkit for people.
    pub(crate) name: &'d str,
    /// Words of the toolkit's slug.
    pub(crate) words: &'d [String],
}

/// A definition, and what was decided for it.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Without `slug`.
    pub(crate) keys: Map<String, Value>,
    /// The words of the slug.
    pub(crate) words: Vec<String>,
    /// Names of arguments by place and name at the provider: `query/id`.
    pub(crate) arguments: BTreeMap<String, String>,
    pub(crate) notes: Vec<String>,
}

/// The definition of an operation. `endpoint` is its path below the base URL, or its URL; `known` are names of arguments
/// that an earlier import has given.
///
/// # Errors
/// Why the operation cannot become a tool.
pub(crate) fn definition<'d>(
    context: &Context<'d>,
    operation: &Operation<'d>,
    endpoint: &str,
    known: &BTreeMap<String, String>,
) -> Result<Definition, String> {
    if matches!(operation.method.as_str(), "HEAD" | "OPTIONS" | "TRACE") {
        return Err(format!("{} has no answer for a model", operation.method));
    }
    let parameters = parameter::fields(operation, context.security)?;
    let mut emitter = Emitter::new(context.document, Direction::Input { clears: false }, 6);
    let body = body::body(context.document, operation, &mut emitter).map_err(reason)?;
    let mut fields = parameters.fields;
    let mut body = body;
    fields.append(&mut body.fields);
    fields.sort_by_key(|field| field.place);
    let names = names(&fields, known);
    let words = tool_words(operation.id, &operation.method, operation.path, context.words);
    let (path, query) = path(endpoint, &fields, &names, &parameters.path_prefixes)?;
    let mut tool = Writer { operation, names: &names, notes: Vec::new() };
    let written = tool.fitted(context.document, &fields)?;
    let mut keys = tool.texts(context, &words);
    let effect = effect::effect(&operation.method, &words);
    if effect::is_doubtful(&operation.method, &words) {
        tool.notes
            .push("its name says that it changes something, but it is a GET, which is taken for reading".to_owned());
    }
    keys.insert("effect".to_owned(), effect.into());
    keys.insert("method".to_owned(), operation.method.as_str().into());
    keys.insert("path".to_owned(), path.into());
    if !query.is_empty() {
        keys.insert("query".to_owned(), json!(query));
    }
    let scopes = context.security.scopes(operation.security);
    if !scopes.is_empty() {
        keys.insert("scopes".to_owned(), json!(scopes));
    }
    if operation.value.get("deprecated") == Some(&Value::Bool(true)) {
        keys.insert("deprecated".to_owned(), true.into());
    }
    tool.request(&mut keys, &body, written)?;
    let places = query_arguments(&mut emitter, &fields, &names, &keys["input"]);
    let answer = answer::answer(context.document, operation, &places);
    let mut notes = tool.notes;
    notes.extend(answer.success_member.map(answer::suggestion));
    answer::write(answer, &mut keys);
    Ok(Definition { keys, words, arguments: names, notes })
}

/// The names of arguments in the query by their names at the provider, without a number of pages that begins with 0.
fn query_arguments<'d>(
    emitter: &mut Emitter<'d>,
    fields: &[Field<'d>],
    names: &BTreeMap<String, String>,
    input: &Value,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for field in fields.iter().filter(|field| field.place == Location::Query) {
        let is_page = field.wire_name.to_ascii_lowercase().contains("page");
        let begins_with_0 = match &field.shape {
            Shape::Schema(node) if is_page => emitter
                .parts(node, &field.around)
                .is_ok_and(|parts| parts.by_kind.values().any(|flat| flat.default == Some(&json!(0)))),
            _ => false,
        };
        if let Some(name) = names.get(&key(field)).filter(|name| !begins_with_0 && input.get(name.as_str()).is_some()) {
            found.insert(field.wire_name.clone(), name.clone());
        }
    }
    found
}

fn reason(fail: Fail) -> String {
    match fail {
        Fail::TooDeep => "a schema nests too deep".to_owned(),
        Fail::Never => "no value fits the schema of its body".to_owned(),
        Fail::Refused(reason) => reason,
    }
}

fn key(field: &Field<'_>) -> String {
    format!("{}/{}", field.place.name(), field.wire_name)
}

/// A name for each field: the one of an earlier import, else its own, which an earlier place takes first.
fn names(fields: &[Field<'_>], known: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let mut taken: BTreeSet<String> = known.values().cloned().collect();
    for field in fields {
        let key = key(field);
        let name =
            known.get(&key).cloned().unwrap_or_else(|| argument_name(&field.wire_name, field.place.name(), &taken));
        taken.insert(name.clone());
        names.insert(key, name);
    }
    names
}

/// The path with the names of arguments, and its query as fixed parameters.
fn path(
    endpoint: &str,
    fields: &[Field<'_>],
    names: &BTreeMap<String, String>,
    prefixes: &[(String, String)],
) -> Result<(String, BTreeMap<String, String>), String> {
    // A fragment only tells operations of one path apart.
    let endpoint = endpoint.split('#').next().unwrap_or_default();
    let (path, query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    if query.contains('{') {
        return Err("its path has a placeholder in the query".to_owned());
    }
    let mut path = path.to_owned();
    for name in path_names(&path.clone()) {
        let field = fields.iter().find(|field| field.place == Location::Path && field.wire_name == name);
        let Some(argument) = field.and_then(|field| names.get(&key(field))) else {
            return Err(format!("its path has `{}`, which no parameter describes", clean(name)));
        };
        let prefix = prefixes.iter().find(|(of, _)| of == name).map_or("", |(_, prefix)| prefix);
        path = path.replace(&format!("{{{name}}}"), &format!("{prefix}{{{argument}}}"));
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok((path, query.collect()))
}

struct Writer<'a, 'd> {
    operation: &'a Operation<'d>,
    names: &'a BTreeMap<String, String>,
    notes: Vec<String>,
}

/// Arguments with their schemas.
struct Written<'f, 'd> {
    arguments: Vec<(&'f Field<'d>, Map<String, Value>)>,
    /// Names of body members that had no room.
    left_out: Vec<String>,
    /// Some objects are not written out.
    is_cut: bool,
}

impl Written<'_, '_> {
    fn size(&self) -> usize {
        self.arguments
            .iter()
            .map(|(field, schema)| field.wire_name.len() + 8 + Value::Object(schema.clone()).to_string().len())
            .sum()
    }
}

impl<'d> Writer<'_, 'd> {
    fn name(&self, field: &Field<'_>) -> String {
        self.names.get(&key(field)).unwrap_or(&field.wire_name).clone()
    }

    /// The arguments, written as deep as there is room for.
    fn fitted<'f>(&mut self, document: &'d Document, fields: &'f [Field<'d>]) -> Result<Written<'f, 'd>, String> {
        let clears = self.operation.method == "PATCH";
        let written = deepest(6, |depth| {
            let mut emitter = Emitter::new(document, Direction::Input { clears }, depth);
            let written = written(&mut emitter, fields)?;
            let fits = !emitter.is_exhausted() && written.size() <= MAX_SCHEMA;
            Ok((Written { is_cut: emitter.is_cut, ..written }, fits))
        })?;
        if written.is_cut {
            self.notes.push("objects that nest deep are not written out".to_owned());
        }
        Ok(self.ranked(written))
    }

    /// Without the arguments for which there is no room: required ones first, then those with short names.
    fn ranked<'f>(&mut self, mut written: Written<'f, 'd>) -> Written<'f, 'd> {
        if written.size() <= MAX_SCHEMA && written.arguments.len() <= MAX_PROPERTIES {
            return written;
        }
        written
            .arguments
            .sort_by_key(|(field, _)| (!field.required, field.place == Location::Body, field.wire_name.len()));
        let mut size = 0;
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        for (field, schema) in std::mem::take(&mut written.arguments) {
            size += field.wire_name.len() + 8 + Value::Object(schema.clone()).to_string().len();
            let has_room = size <= MAX_SCHEMA - 512 && kept.len() < MAX_PROPERTIES - 1;
            if has_room || field.required {
                kept.push((field, schema));
            } else if field.place == Location::Body {
                written.left_out.push(field.wire_name.clone());
            } else {
                dropped.push(field.wire_name.as_str());
            }
        }
        if !dropped.is_empty() {
            self.notes.push(format!("parameters without room: {}", clip(&dropped.join(", "), 300)));
        }
        Written { arguments: kept, ..written }
    }

    fn texts(&self, context: &Context<'_>, words: &[String]) -> Map<String, Value> {
        let summary = clean(self.operation.text("summary"));
        let wording = clean(self.operation.text("description"));
        let named = capitalized(&words.join(" "));
        let short = if summary.is_empty() { first_sentence(&wording).to_owned() } else { summary.clone() };
        let short = if short.is_empty() { named.clone() } else { short };
        let is_new = !wording.is_empty()
            && !wording.to_lowercase().starts_with(summary.trim_end_matches('.').to_lowercase().as_str());
        let description = match (summary.is_empty(), wording.is_empty()) {
            (true, true) => format!("{} Sends {}.", sentence(&named), self.operation.key()),
            (false, _) if is_new => format!("{} {}", sentence(&capitalized(&summary)), sentence(&wording)),
            (false, true) => sentence(&capitalized(&summary)),
            _ => sentence(&capitalized(&wording)),
        };
        let title = clip(&short, 100);
        let title = title.trim_end_matches(['.', '…', ' ']);
        let use_cases = [sentence(&capitalized(&clip(&short, 200))), format!("{named} in {}.", context.name)];
        let mut keys = Map::new();
        keys.insert("title".to_owned(), if title.is_empty() { named.as_str() } else { title }.into());
        keys.insert("description".to_owned(), clip(&description, 1_024).into());
        keys.insert("use_cases".to_owned(), json!(use_cases));
        keys
    }

    /// `body`, `wrap`, `template` and `input`.
    fn request(&self, keys: &mut Map<String, Value>, body: &Body<'_>, written: Written<'_, '_>) -> Result<(), String> {
        let has_body = matches!(self.operation.method.as_str(), "POST" | "PUT" | "PATCH");
        let is_json = body.format == "json";
        let is_sent = has_body || body.format != "none";
        if is_sent && !is_json {
            keys.insert("body".to_owned(), body.format.into());
        }
        if let Some(content_type) = &body.content_type {
            keys.insert("content_type".to_owned(), content_type.as_str().into());
        }
        if let Some(wrap) = &body.wrap {
            keys.insert("wrap".to_owned(), wrap.as_str().into());
        }
        let mut input = Map::new();
        let mut members = Map::new();
        for (field, schema) in written.arguments {
            let name = self.name(field);
            let mut argument = schema;
            let in_body = field.place == Location::Body;
            if let Some(style) = style(field.writing, &argument, &field.wire_name)? {
                argument.insert("style".to_owned(), style.into());
            }
            if let Some(members) = argument.remove("required") {
                argument.insert("required_members".to_owned(), members);
            }
            if field.required {
                argument.insert("required".to_owned(), true.into());
            }
            let by_default = if has_body { Location::Body } else { Location::Query };
            if field.place != by_default && field.place != Location::Path {
                argument.insert("in".to_owned(), field.place.name().into());
            }
            let is_nested = in_body && is_json && field.wire_name.contains('.');
            if is_nested {
                members.insert(field.wire_name.clone(), format!("{{{name}}}").into());
            } else if name != field.wire_name && field.place != Location::Path && !(in_body && body.is_one) {
                argument.insert("as".to_owned(), field.wire_name.as_str().into());
            }
            input.insert(name, argument.into());
        }
        if body.is_one && is_json {
            let name = input.keys().find(|name| name.starts_with("body")).cloned().unwrap_or_else(|| "body".to_owned());
            keys.insert("template".to_owned(), format!("{{{name}}}").into());
        } else if !members.is_empty() {
            keys.insert("template".to_owned(), members.into());
        } else if (body.is_open || !written.left_out.is_empty()) && !matches!(body.format, "file" | "none") {
            self.more(keys, &mut input, body, &written.left_out);
        }
        keys.insert("input".to_owned(), input.into());
        Ok(())
    }

    /// The argument whose members stand beside the others in the body.
    fn more(
        &self,
        keys: &mut Map<String, Value>,
        input: &mut Map<String, Value>,
        body: &Body<'_>,
        left_out: &[String],
    ) {
        let wording = if left_out.is_empty() {
            "Further members of the body.".to_owned()
        } else {
            format!("Further members of the body: {}", clip(&left_out.join(", "), 250))
        };
        let mut argument = free_object();
        argument.insert("description".to_owned(), clean(&wording).into());
        let name = if input.contains_key(MORE) { format!("{MORE}_body") } else { MORE.to_owned() };
        if body.format == "json" {
            let all = Value::from(format!("{{{name}}}"));
            let template = match &body.wrap {
                Some(wrap) => json!({ wrap.trim_start_matches('/'): all }),
                None => all,
            };
            keys.insert("template".to_owned(), template);
        } else {
            argument.insert("style".to_owned(), "members".into());
        }
        if !matches!(self.operation.method.as_str(), "POST" | "PUT" | "PATCH") {
            argument.insert("in".to_owned(), "body".into());
        }
        input.insert(name, argument.into());
    }
}
