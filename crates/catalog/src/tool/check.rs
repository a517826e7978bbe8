//! The rules of a tool, beyond the types of its keys.

use std::collections::BTreeSet;

use serde_json::Value;

use super::profile::Profile;
use super::template::{CALL_ID, ITEM, Template, parse_text};
use crate::model::{Argument, BodyFormat, Effect, Location, PagingStyle, Placement, Style, Tool, ToolMethod, Toolkit};
use crate::path::Path;
use crate::scheme::Scheme;
use crate::validate::{Finding, is_header_name, is_header_value, is_pointer};

/// Maximum length of a slug: the limit of model vendors.
const MAX_SLUG: usize = 64;
/// Maximum length of a tool's description, in characters.
const MAX_DESCRIPTION: usize = 1_024;
/// Maximum size of the schema of all arguments, in bytes of JSON.
const MAX_SCHEMA: usize = 24 * 1_024;
/// Headers that no argument can set: they belong to the connection, or to the credential.
const OWN_HEADERS: [&str; 15] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// All findings of the tools of a toolkit.
pub(crate) fn findings(tools: &[Tool], toolkit: &Toolkit) -> Vec<Finding> {
    let mut check = Check { toolkit, findings: Vec::new() };
    let mut slugs = BTreeSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let path = Path::root("tools").index(index);
        check.require(slugs.insert(&tool.slug), &path.key("slug"), "another tool has this slug");
        check.texts(&path, tool);
        check.request(&path, tool);
        check.body(&path, tool);
        check.effect(&path, tool);
        check.scopes(&path, tool);
        check.answer(&path, tool);
        check.paging(&path, tool);
    }
    for (index, tool) in tools.iter().enumerate() {
        let path = Path::root("tools").index(index);
        for (key, other) in [("replaced_by", &tool.replaced_by), ("verify_with", &tool.verify_with)] {
            if let Some(other) = other {
                let is_other = slugs.contains(other) && *other != tool.slug;
                check.require(is_other, &path.key(key), "must be the slug of another tool");
            }
        }
        if let Some(other) = tools.iter().find(|other| Some(&other.slug) == tool.verify_with.as_ref()) {
            check.require(other.effect == Effect::Read, &path.key("verify_with"), "must be a tool that reads");
        }
    }
    check.findings
}

pub(super) struct Check<'t> {
    pub(super) toolkit: &'t Toolkit,
    findings: Vec<Finding>,
}

impl Check<'_> {
    pub(super) fn require(&mut self, holds: bool, path: &Path, message: &str) {
        if !holds {
            self.findings.push(Finding { path: path.clone(), message: message.to_owned() });
        }
    }

    /// Where the credentials of the toolkit's schemes go, of one kind.
    fn applied<'a>(&'a self, of: impl Fn(&'a Placement) -> Option<&'a str> + 'a) -> impl Iterator<Item = &'a str> + 'a {
        let placements = Scheme::ALL.iter().flat_map(|scheme| self.toolkit.placements(*scheme));
        placements.filter_map(of)
    }

    /// Whether a tool may set a header.
    fn is_settable(&self, name: &str) -> bool {
        is_header_name(name)
            && !OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name))
            && !self.applied(|placement| placement.header.as_deref()).any(|used| used.eq_ignore_ascii_case(name))
    }

    fn texts(&mut self, path: &Path, tool: &Tool) {
        let prefix = format!("{}_", self.toolkit.slug.to_ascii_uppercase());
        let name = tool.slug.strip_prefix(&prefix).unwrap_or_default();
        let is_slug = !name.is_empty()
            && tool.slug.len() <= MAX_SLUG
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        let message = format!("must be `{prefix}` and upper case words joined by `_`, at most {MAX_SLUG} characters");
        self.require(is_slug, &path.key("slug"), &message);
        let is_line = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
        self.require(is_line(&tool.title), &path.key("title"), "must be a text on one line");
        let is_short = is_line(&tool.description) && tool.description.chars().count() <= MAX_DESCRIPTION;
        let message = format!("must be a text of at most {MAX_DESCRIPTION} characters, on one line");
        self.require(is_short, &path.key("description"), &message);
        let is_list = (2..=6).contains(&tool.use_cases.len()) && tool.use_cases.iter().all(|text| is_line(text));
        self.require(is_list, &path.key("use_cases"), "must be two to six sentences");
    }

    fn request(&mut self, path: &Path, tool: &Tool) {
        let at = path.key("path");
        let names = path_names(&tool.path);
        self.require(
            names.is_some() && self.is_endpoint(&tool.path),
            &at,
            "must begin with `/`, or with `https://` and one of the toolkit's `hosts`, and have `{name}` for each argument",
        );
        for name in names.unwrap_or_default() {
            let argument = tool.input.get(name);
            let message = format!("`{{{name}}}` is no argument of the tool");
            self.require(argument.is_some(), &at, &message);
            if let Some(argument) = argument {
                let key = path.key("input").key(name);
                let is_given = argument.required || argument.schema.contains_key("default");
                self.require(is_given, &key, "stands in the path, so it must be required or have a default");
                let is_path = argument.location.is_none_or(|location| location == Location::Path);
                self.require(is_path, &key.key("in"), "stands in the path");
            }
        }
        for (name, argument) in &tool.input {
            self.argument(path, tool, name, argument);
        }
        let size = Value::Object(tool.input_schema()).to_string().len();
        let message = format!("the schema of all arguments has {size} bytes; at most {MAX_SCHEMA} are allowed");
        self.require(size <= MAX_SCHEMA, &path.key("input"), &message);
        self.places_differ(path, tool);
        for (name, value) in &tool.headers {
            let key = path.key("headers").key(name);
            self.require(
                // What the provider is asked for is a part of the tool.
                self.is_settable(name) || name.eq_ignore_ascii_case("accept"),
                &key,
                "must be a header that the connection and the credential do not use",
            );
            self.require(is_header_value(value), &key, "must be visible ASCII");
            self.text(&key, tool, value);
        }
        for (name, value) in &tool.query {
            self.text(&path.key("query").key(name), tool, value);
            let is_free =
                !name.is_empty() && !self.applied(|placement| placement.query.as_deref()).any(|used| used == name);
            self.require(is_free, &path.key("query").key(name), "must be a name that the credential does not use");
        }
    }

    /// The texts of `query` and `headers`.
    fn text(&mut self, at: &Path, tool: &Tool, text: &str) {
        match parse_text(text) {
            Ok(template) => self.placeholders(at, tool, &template),
            Err(message) => self.require(false, at, &message),
        }
    }

    /// Each placeholder is an argument.
    fn placeholders(&mut self, at: &Path, tool: &Tool, template: &Template) {
        let mut unknown = BTreeSet::new();
        template.arguments(&mut |name| {
            if !tool.input.contains_key(name) && name != CALL_ID {
                unknown.insert(name);
            }
        });
        for name in unknown {
            self.require(false, at, &format!("`{{{name}}}` is no argument of the tool"));
        }
    }

    fn body(&mut self, path: &Path, tool: &Tool) {
        let is_json = tool.method != ToolMethod::Get && tool.body == BodyFormat::Json;
        if let Some(wrap) = &tool.wrap {
            let is_body = is_json && is_pointer(wrap);
            self.require(is_body, &path.key("wrap"), "must be a JSON pointer into a JSON body, such as `/data`");
        }
        if let Some(template) = &tool.template {
            let at = path.key("template");
            self.require(is_json, &at, "stands for a JSON body");
            match Template::parse(template) {
                Ok(template) => self.placeholders(&at, tool, &template),
                Err(message) => self.require(false, &at, &message),
            }
        }
        if let Some(media_type) = &tool.content_type {
            let has_type = matches!(tool.body, BodyFormat::Json | BodyFormat::File);
            let is_type = is_header_value(media_type) && media_type.contains('/') && !media_type.contains('*');
            let message =
                "must be a media type such as `application/merge-patch+json`, of a body that is JSON or a file";
            self.require(has_type && is_type, &path.key("content_type"), message);
        }
        if tool.graphql.is_some() {
            let is_post = tool.method == ToolMethod::Post && tool.body == BodyFormat::Json;
            self.require(is_post, &path.key("graphql"), "is sent with POST, as JSON");
        }
        let in_body = tool.input.iter().filter(|(name, argument)| tool.location(name, argument) == Location::Body);
        let names: Vec<&str> = in_body.map(|(name, argument)| tool.wire_name(name, argument)).collect();
        if tool.body == BodyFormat::File {
            self.require(names.len() == 1, &path.key("body"), "a body that is a file is one argument");
        }
        if tool.body == BodyFormat::None {
            let message = "there is no body, so arguments need another place: `in = \"query\"`";
            self.require(names.is_empty(), &path.key("body"), message);
        }
        for name in &names {
            let is_parent = names.iter().any(|other| other.starts_with(&format!("{name}.")));
            let message = format!("`{name}` is an argument, and another one goes into it");
            self.require(!is_parent, &path.key("input"), &message);
        }
        self.require((1..=300).contains(&tool.timeout), &path.key("timeout"), "must be 1 to 300 seconds");
        self.require((1..=100).contains(&tool.weight), &path.key("weight"), "must be 1 to 100");
        if let Some(header) = &tool.idempotency_header {
            let is_free = self.is_settable(header) && tool.effect != Effect::Read;
            self.require(is_free, &path.key("idempotency_header"), "must be a header of a tool that changes something");
        }
    }

    fn paging(&mut self, path: &Path, tool: &Tool) {
        let Some(paging) = &tool.paging else { return };
        let at = path.key("paging");
        for (key, name) in [("argument", Some(&paging.argument)), ("size", paging.size.as_ref())] {
            if let Some(name) = name {
                self.require(tool.input.contains_key(name), &at.key(key), "must be an argument of the tool");
            }
        }
        self.require(tool.effect == Effect::Read, &at, "only what reads has further results");
        let places = [("next", &paging.next), ("last_item", &paging.last_item)];
        let given = places.iter().filter(|(_, pointer)| pointer.is_some()).count();
        let needed = usize::from(paging.style == PagingStyle::Cursor);
        self.require(given == needed, &at, "`cursor` needs one of `next` and `last_item`; other styles have neither");
        for (key, pointer) in places.into_iter().chain([("has_more", &paging.has_more)]) {
            let is_fine = pointer.as_deref().is_none_or(is_pointer);
            self.require(is_fine, &at.key(key), "must be a JSON pointer");
        }
        let is_items = paging.items.is_empty() || is_pointer(&paging.items);
        self.require(is_items, &at.key("items"), "must be a JSON pointer, or empty if the answer is the list");
    }

    /// A path below the base URL, or a URL on one of the hosts.
    fn is_endpoint(&self, endpoint: &str) -> bool {
        let Some(rest) = endpoint.strip_prefix("https://") else { return is_path(endpoint) };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        self.toolkit.hosts.iter().any(|known| known == host) && is_path(path)
    }

    fn argument(&mut self, path: &Path, tool: &Tool, name: &str, argument: &Argument) {
        let key = path.key("input").key(name);
        let is_reserved = name == CALL_ID || name == ITEM;
        self.require(!is_reserved, &key, "this name has a meaning in templates; use `as` for it at the provider");
        Profile { findings: &mut self.findings }.property(&key, name, &Tool::argument_schema(argument), 1);
        let location = tool.location(name, argument);
        let is_body = location == Location::Body;
        self.require(!is_body || tool.method != ToolMethod::Get, &key.key("in"), "GET has no body");
        let in_path = path_names(&tool.path).unwrap_or_default().contains(&name);
        self.require(location != Location::Path || in_path, &key.key("in"), "the path does not have this argument");
        let wire_name = tool.wire_name(name, argument);
        let fits = match location {
            Location::Header => self.is_settable(wire_name),
            Location::Query => !self.applied(|placement| placement.query.as_deref()).any(|used| used == wire_name),
            Location::Body => !self.applied(|placement| placement.body.as_deref()).any(|used| used == wire_name),
            Location::Path => true,
        };
        self.require(fits, &key.key("as"), "must be a name that the connection and the credential do not use");
        let has_names = location != Location::Body || wire_name.split('.').all(|part| !part.is_empty());
        self.require(has_names, &key.key("as"), "must be names joined by `.`");
        let kind = argument.schema.get("type").and_then(Value::as_str).unwrap_or_default();
        let is_file = argument.schema.get("file_uploadable") == Some(&Value::Bool(true));
        let is_structured = matches!(kind, "array" | "object") && !is_file;
        let may_be_structured = is_structured || argument.schema.contains_key("anyOf");
        let has_pairs = matches!(tool.body, BodyFormat::Form | BodyFormat::Multipart);
        let needs_style = is_structured && (!is_body || has_pairs);
        self.require(
            !needs_style || argument.style.is_some(),
            &key.key("style"),
            "a list or object outside of a JSON body needs a style",
        );
        let fits_kind = argument.style.is_none_or(|style| may_be_structured && style.is_for(kind));
        self.require(fits_kind, &key.key("style"), "must be one of a list for a list, one of an object for an object");
        let needs_pairs =
            matches!(argument.style, Some(Style::Repeated | Style::Brackets | Style::DeepObject | Style::Members));
        let has_one_text = matches!(location, Location::Path | Location::Header);
        self.require(!(needs_pairs && has_one_text), &key.key("style"), "a path or a header has room for one text");
        let is_assigned = argument.style == Some(Style::Assignments);
        self.require(!is_assigned || has_one_text, &key.key("style"), "is for a path or a header");
        let takes_file = matches!(tool.body, BodyFormat::Multipart | BodyFormat::File) || tool.template.is_some();
        self.require(
            !is_file || is_body && takes_file,
            &key,
            "a file goes to a body that is a file, has parts, or a template",
        );
    }

    /// No two arguments have the same place and name at the provider.
    fn places_differ(&mut self, path: &Path, tool: &Tool) {
        let mut seen = BTreeSet::new();
        for (name, argument) in &tool.input {
            let location = tool.location(name, argument);
            let wire_name = tool.wire_name(name, argument);
            let is_fixed = match location {
                Location::Query => tool.query.contains_key(wire_name),
                Location::Header => tool.headers.keys().any(|fixed| fixed.eq_ignore_ascii_case(wire_name)),
                Location::Path | Location::Body => false,
            };
            // Only names of headers are the same in either case.
            let folded =
                if location == Location::Header { wire_name.to_ascii_lowercase() } else { wire_name.to_owned() };
            let is_new = seen.insert((location as u8, folded));
            let key = path.key("input").key(name);
            self.require(is_new && !is_fixed, &key, "another argument or value goes to the same place");
        }
    }

    fn effect(&mut self, path: &Path, tool: &Tool) {
        let is_read = tool.effect == Effect::Read;
        self.require(
            tool.method != ToolMethod::Get || is_read,
            &path.key("effect"),
            "GET changes nothing: its effect is `read`",
        );
        self.require(!tool.idempotent || !is_read, &path.key("idempotent"), "what reads changes nothing anyway");
        self.require(
            tool.method != ToolMethod::Delete || tool.effect == Effect::Destructive,
            &path.key("effect"),
            "DELETE deletes: its effect is `destructive`",
        );
    }

    fn answer(&mut self, path: &Path, tool: &Tool) {
        let has_result = tool.result.as_deref().is_none_or(is_pointer);
        self.require(has_result, &path.key("result"), "must be a JSON pointer such as `/data`");
        for (name, schema) in &tool.output {
            Profile { findings: &mut self.findings }.property(&path.key("output").key(name), name, schema, 1);
        }
        for (index, pointer) in tool.untrusted.iter().enumerate() {
            self.require(
                is_pointer(pointer),
                &path.key("untrusted").index(index),
                "must be a JSON pointer such as `/body`",
            );
        }
        self.require(!tool.trim || !tool.output.is_empty(), &path.key("trim"), "needs the properties of `output`");
        self.require(!tool.download || tool.result.is_none(), &path.key("download"), "a file has no `result`");
        if let Some(rule) = &tool.error_when {
            let at = path.key("error_when");
            self.require(is_pointer(&rule.pointer), &at.key("pointer"), "must be a JSON pointer such as `/ok`");
            let is_one = rule.equals.is_none() || rule.differs.is_none();
            self.require(is_one, &at.key("differs"), "stands instead of `equals`");
            let has_message = rule.message.as_deref().is_none_or(is_pointer);
            self.require(has_message, &at.key("message"), "must be a JSON pointer such as `/error/message`");
        }
    }
}

/// The names in braces; none if braces do not match.
pub(super) fn path_names(path: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some(open) = rest.find('{') {
        if rest[..open].contains('}') {
            return None;
        }
        let (name, after) = rest[open + 1..].split_once('}')?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        names.push(Some(name).filter(|_| is_name)?);
        rest = after;
    }
    (!rest.contains('}')).then_some(names)
}

/// A path without query, fragment, dot segments and blanks.
fn is_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\%".contains(&byte);
    path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(is_plain)
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}
