//! Where the tools of a toolkit call: base URL, hosts and paths.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ImportError, MAX_SLUG};
use crate::name::MAX_NAME;
use crate::operation::Operation;
use crate::options::Options;
use crate::reference::Document;
use crate::security::Security;
use crate::server::{self, Base};
use crate::text::{clean, clip, first_sentence, sentence};

/// The base URL: the one of the options, the document's, or the one that most operations have.
pub(super) fn base(document: &Document, options: &Options, wanted: &[Operation<'_>]) -> Result<Base, ImportError> {
    if let Some(url) = &options.base_url {
        return server::of_template(url.trim_end_matches('/')).map_err(ImportError::Server);
    }
    let source = options.source_url.as_ref();
    let servers = document.root.get("servers").and_then(Value::as_array).filter(|servers| !servers.is_empty());
    if let Some(servers) = servers {
        return server::base(servers, source).map_err(ImportError::Server);
    }
    let mut counts: BTreeMap<String, (usize, Base)> = BTreeMap::new();
    for servers in wanted.iter().filter_map(|operation| operation.servers) {
        if let Ok(base) = server::base(servers, source) {
            counts.entry(base.url.clone()).or_insert((0, base)).0 += 1;
        }
    }
    match counts.into_values().max_by_key(|(count, _)| *count) {
        Some((_, base)) => Ok(base),
        // The default of the standard is the place of the document.
        None => server::base(&[json!({ "url": "/" })], source).map_err(ImportError::Server),
    }
}

/// Hosts and paths that operations need.
pub(super) struct Places<'b> {
    pub(super) base: &'b Base,
    pub(super) hosts: Vec<String>,
    pub(super) paths: Vec<String>,
}

impl Places<'_> {
    /// The path of an operation below the base URL, or its URL.
    pub(super) fn endpoint(
        &mut self,
        document: &Document,
        options: &Options,
        operation: &Operation<'_>,
    ) -> Result<String, String> {
        let path = format!("/{}", operation.path.trim_start_matches('/'));
        let Some(servers) = operation.servers else { return Ok(path) };
        let root = document.root.get("servers").and_then(Value::as_array);
        if root == Some(servers) {
            return Ok(path);
        }
        let own = match server::base(servers, options.source_url.as_ref()) {
            // The given one stands for a server that stands for another one.
            Err(_) if options.base_url.is_some() => return Ok(path),
            own => own?,
        };
        let is_root = root.is_some_and(|root| {
            root.iter().any(|server| {
                server::base(std::slice::from_ref(server), options.source_url.as_ref())
                    .is_ok_and(|base| base.url == own.url)
            })
        });
        if own.url == self.base.url || is_root && options.base_url.is_some() {
            return Ok(path);
        }
        if own.host.contains('{') || own.url.contains('{') {
            return Err(format!("its own server {} has a variable", own.url));
        }
        if own.host == self.base.host {
            self.allow_path(&own, &path)?;
        } else if !self.hosts.contains(&own.host) {
            self.hosts.push(own.host.clone());
        }
        Ok(format!("{}{path}", own.url))
    }

    /// Allows a path of the base URL's host that is not below the base URL.
    pub(super) fn allow_path(&mut self, own: &Base, path: &str) -> Result<(), String> {
        let path_of = |url: &str| {
            url.split_once("://")
                .and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()))
                .unwrap_or_default()
        };
        let (base, own_path) = (path_of(&self.base.url), path_of(&own.url));
        let is_below = |path: &str, prefix: &str| path == prefix || path.starts_with(&format!("{prefix}/"));
        let own_url = format!("{own_path}{path}");
        if is_below(&own_url, &base) || self.paths.iter().any(|known| is_below(&own_url, known)) {
            return Ok(());
        }
        let first = own_url.split('/').nth(1).filter(|segment| !segment.is_empty() && !segment.contains(['{', '?']));
        let allowed = if own_path.is_empty() { first.map(|segment| format!("/{segment}")) } else { Some(own_path) };
        match allowed.filter(|_| !base.contains('{')) {
            Some(allowed) => {
                self.paths.push(allowed);
                Ok(())
            }
            None => Err(format!("its own server {} is the base URL's host without its path", own.url)),
        }
    }
}

pub(super) fn toolkit_keys(
    document: &Document,
    options: &Options,
    base: &Base,
    (hosts, paths): (&[String], &[String]),
    security: &Security,
) -> Map<String, Value> {
    let text = |pointer: &str| document.root.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let title = clip(&clean(text("/info/title")), 60);
    let name = options.name.clone().unwrap_or(title);
    let name = if name.trim().is_empty() { options.slug.clone() } else { name };
    let wording = clip(first_sentence(&clean(text("/info/description"))), 200);
    let description = if wording.is_empty() { format!("The API of {name}.") } else { sentence(&wording) };
    let page = |url: &str| url.starts_with("https://") && url::Url::parse(url).is_ok();
    let mut keys = Map::new();
    let mut put = |key: &str, value: Value| drop(keys.insert(key.to_owned(), value));
    put("slug", options.slug.as_str().into());
    put("name", name.into());
    put("description", description.into());
    put("categories", json!(["other"]));
    put("color", "#475569".into());
    put("version", format!("{}_00", options.date).into());
    put("base_url", base.url.as_str().into());
    put("hosts", json!(hosts));
    if !paths.is_empty() {
        put("paths", json!(paths));
    }
    if page(text("/externalDocs/url")) {
        put("auth_guide_url", text("/externalDocs/url").into());
    }
    if page(&options.source) {
        put("sources", json!([options.source]));
    }
    let made = format!("Made from {}; nothing was tried with the provider.", super::title(document));
    put("unverified", json!([made]));
    if !base.fields.is_empty() {
        put("fields", json!(base.fields));
    }
    for (name, table) in &security.tables {
        put(name, table.clone());
    }
    keys
}

// The limit of names leaves room for words after the longest slug.
const _: () = assert!(MAX_SLUG + 20 < MAX_NAME);
