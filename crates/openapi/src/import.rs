//! The steps of an import.

mod error;
mod places;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use switchboard_catalog::{Catalog, Toolkit, tool_of};

pub use self::error::ImportError;
use self::places::{Places, base, toolkit_keys};
use crate::diff::{Changes, changes};
use crate::discovery;
use crate::lock::{Lock, Locked, digest, digest_of_text};
use crate::name::tool_name;
use crate::operation::{Operation, operations};
use crate::options::Options;
use crate::reference::Document;
use crate::report::{Finding, Imported, Renamed, Report, Size, Skipped};
use crate::security::Security;
use crate::text::{clean, clip, words};
use crate::tool::{self, Context};
use crate::write;

/// Maximum length of a slug: tools need the rest of their names.
const MAX_SLUG: usize = 24;
/// Bytes of JSON that are about one token.
const BYTES_PER_TOKEN: f64 = 3.6;

/// The texts of a toolkit's folder that an earlier import has written.
#[derive(Clone, Debug, Default)]
pub struct Previous {
    /// `toolkit.toml`.
    pub toolkit: Option<String>,
    /// `tools.toml`.
    pub tools: Option<String>,
    /// The lock file.
    pub lock: Option<String>,
}

/// The texts of a toolkit's folder.
#[derive(Clone, Debug)]
pub struct Import {
    /// `toolkit.toml`.
    pub toolkit: String,
    /// `tools.toml`.
    pub tools: String,
    /// The lock file.
    pub lock: String,
    /// What was done.
    pub report: Report,
}

/// Makes a toolkit of a document. `previous` are the texts of an earlier import into the same folder: names stay, and
/// what people have changed is kept.
///
/// # Errors
/// The document as a whole cannot be imported. An operation that cannot is left out, with a reason in the report.
pub fn import(root: Value, previous: &Previous, options: &Options) -> Result<Import, ImportError> {
    check_slug(&options.slug)?;
    let root = openapi(root)?;
    let document = Document { root };
    let lock = earlier_lock(previous)?;
    let mut importer = Importer::new(&document, options, lock, previous)?;
    importer.import_all();
    importer.finish(previous)
}

fn check_slug(slug: &str) -> Result<(), ImportError> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = slug.starts_with(|first: char| first.is_ascii_lowercase());
    if begins && slug.len() <= MAX_SLUG && slug.bytes().all(is_allowed) { Ok(()) } else { Err(ImportError::Slug) }
}

/// The document as `OpenAPI` 3.
fn openapi(root: Value) -> Result<Value, ImportError> {
    if discovery::is_discovery(&root) {
        return Ok(discovery::to_openapi(&root));
    }
    // YAML has the version as a number, if it is not quoted.
    let version =
        |key: &str| root.get(key).map(|version| version.as_str().map_or_else(|| version.to_string(), str::to_owned));
    match (version("openapi"), version("swagger")) {
        (Some(version), _) if version == "3" || version.starts_with("3.") => Ok(root),
        (None, Some(_)) => Err(ImportError::Swagger),
        _ => Err(ImportError::OtherKind),
    }
}

fn earlier_lock(previous: &Previous) -> Result<Option<Lock>, ImportError> {
    match (&previous.lock, &previous.toolkit, &previous.tools) {
        (Some(lock), ..) => Lock::parse(lock).map(Some).map_err(ImportError::Lock),
        (None, None, None) => Ok(None),
        _ => Err(ImportError::NotImported),
    }
}

struct Importer<'d> {
    document: &'d Document,
    options: &'d Options,
    security: Security,
    toolkit_keys: Map<String, Value>,
    /// `toolkit.toml` as people have changed it.
    own_toolkit: Option<String>,
    toolkit: std::sync::Arc<Toolkit>,
    wanted: Vec<(Operation<'d>, Result<String, String>)>,
    lock: Lock,
    earlier: Option<Lock>,
    /// Tools of the earlier import as they are now.
    earlier_tools: BTreeMap<String, Value>,
    tools: BTreeMap<String, Value>,
    taken: BTreeSet<String>,
    report: Report,
    scopes: BTreeSet<String>,
}

impl<'d> Importer<'d> {
    fn new(
        document: &'d Document,
        options: &'d Options,
        earlier: Option<Lock>,
        previous: &Previous,
    ) -> Result<Self, ImportError> {
        let mut report = Report { document: title(document), ..Report::default() };
        let all = operations(document);
        let (wanted, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|operation| operation.is_wanted(options));
        for operation in others {
            report.skipped.push(Skipped { operation: operation.key(), reason: "not asked for".to_owned() });
        }
        let base = base(document, options, &wanted)?;
        let mut wanted: Vec<_> = wanted;
        for operation in wanted.split_off(options.limit.unwrap_or(usize::MAX).min(wanted.len())) {
            report.skipped.push(Skipped { operation: operation.key(), reason: "over the limit".to_owned() });
        }
        let requirements: Vec<&Value> = wanted.iter().filter_map(|operation| operation.security).collect();
        let security = Security::of(document, &requirements, options.auth.as_ref(), &base.url);
        if security.tables.is_empty() {
            let notes: Vec<&str> = [""].into_iter().chain(security.notes.iter().map(String::as_str)).collect();
            return Err(ImportError::Auth(notes.join("; ")));
        }
        let mut places = Places { base: &base, hosts: vec![base.host.clone()], paths: Vec::new() };
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|operation| {
                let endpoint = places.endpoint(document, options, &operation);
                (operation, endpoint)
            })
            .collect();
        let Places { hosts, paths, .. } = places;
        let toolkit_keys = toolkit_keys(document, options, &base, (&hosts, &paths), &security);
        let own_toolkit = previous
            .toolkit
            .clone()
            .filter(|text| earlier.as_ref().is_some_and(|lock| lock.toolkit != digest_of_text(text)));
        let text = own_toolkit.clone().unwrap_or_else(|| write::toolkit(&toolkit_keys, "Draft."));
        let toolkit = parsed(&options.slug, &text)?;
        report.hosts = hosts;
        report.schemes = toolkit.schemes().iter().map(ToString::to_string).collect();
        let notes = base.notes.iter().chain(&security.notes).cloned();
        report.findings.extend(notes.map(|message| Finding { slug: None, message }));
        let earlier_tools = earlier_tools(previous);
        let taken = earlier.iter().flat_map(|lock| lock.operations.values()).map(|locked| locked.slug.clone());
        Ok(Self {
            taken: taken.chain(earlier_tools.keys().cloned()).collect(),
            lock: Lock::new(&options.source, &report.document),
            document,
            options,
            security,
            toolkit_keys,
            own_toolkit,
            toolkit,
            wanted,
            earlier,
            earlier_tools,
            tools: BTreeMap::new(),
            report,
            scopes: BTreeSet::new(),
        })
    }

    fn import_all(&mut self) {
        let name = self.toolkit.name.clone();
        let words = words(&self.options.slug);
        for (operation, endpoint) in std::mem::take(&mut self.wanted) {
            let key = operation.key();
            let known = self.earlier.as_ref().and_then(|lock| lock.operations.get(&key)).cloned().unwrap_or_default();
            let context = Context { document: self.document, security: &self.security, name: &name, words: &words };
            let imported = endpoint
                .and_then(|endpoint| tool::definition(&context, &operation, &endpoint, &known.arguments))
                .and_then(|definition| self.add(&key, known.clone(), definition));
            if let Err(reason) = imported {
                // Its name is not given to another one.
                if !known.slug.is_empty() {
                    self.lock.operations.insert(key.clone(), Locked { digest: None, ..known });
                }
                self.report.skipped.push(Skipped { operation: key, reason: clip(&clean(&reason), 400) });
            }
        }
        // Operations that are gone, or not asked for now.
        for (key, locked) in self.earlier.iter().flat_map(|lock| &lock.operations) {
            self.lock.operations.entry(key.clone()).or_insert_with(|| Locked { digest: None, ..locked.clone() });
        }
        // Tools that people have added.
        let imported: BTreeSet<&String> = self.lock.operations.values().map(|locked| &locked.slug).collect();
        for (slug, tool) in self.earlier_tools.iter().filter(|(slug, _)| !imported.contains(slug)) {
            self.tools.insert(slug.clone(), tool.clone());
            self.report.kept.push(slug.clone());
        }
    }

    /// Names, checks and adds a tool.
    fn add(&mut self, key: &str, known: Locked, definition: tool::Definition) -> Result<(), String> {
        let prefix = self.options.prefix.as_deref().map(words).unwrap_or_default();
        let name_words: Vec<String> = prefix.into_iter().chain(definition.words.iter().cloned()).collect();
        let slug = if known.slug.is_empty() {
            tool_name(&self.options.slug, &name_words, key, &self.taken)
        } else {
            known.slug.clone()
        };
        let mut keys = definition.keys;
        keys.insert("slug".to_owned(), slug.as_str().into());
        let mut tool = Value::Object(keys);
        let written = digest(&tool);
        if let Some(locked) = &known.digest {
            match self.earlier_tools.get(&slug) {
                Some(own) if digest(own) != *locked => {
                    tool = own.clone();
                    self.report.kept.push(slug.clone());
                }
                None if !self.earlier_tools.is_empty() => {
                    return Err(format!("{slug} was deleted from tools.toml by hand"));
                }
                _ => {}
            }
        }
        let checked = tool_of(&tool, &self.toolkit).map_err(|findings| findings.join("; "))?;
        let schema = Value::Object(checked.input_schema()).to_string();
        let plain = format!("{}_{}", self.options.slug, name_words.join("_")).to_ascii_uppercase();
        if plain != slug && known.slug.is_empty() {
            self.report.renamed.push(Renamed { slug: slug.clone(), words: name_words.join(" ") });
        }
        let about = |message: String| Finding { slug: Some(slug.clone()), message };
        self.report.findings.extend(definition.notes.into_iter().map(about));
        self.report.largest.push(Size { slug: slug.clone(), bytes: schema.len() });
        self.report.tokens += slug.len() + checked.description.len() + schema.len() + 40;
        self.scopes.extend(checked.scopes.iter().flatten().cloned());
        let effect = tool["effect"].as_str().unwrap_or_default().to_owned();
        self.report.imported.push(Imported { slug: slug.clone(), operation: key.to_owned(), effect });
        self.taken.insert(slug.clone());
        self.tools.insert(slug.clone(), tool);
        let arguments = definition.arguments;
        // A tool that people have changed stays theirs.
        let digest = known.digest.filter(|_| self.report.kept.contains(&slug)).or(Some(written));
        self.lock.operations.insert(key.to_owned(), Locked { slug, digest, arguments });
        Ok(())
    }

    fn finish(mut self, previous: &Previous) -> Result<Import, ImportError> {
        if self.tools.is_empty() {
            let reasons: BTreeSet<&String> = self.report.skipped.iter().map(|skipped| &skipped.reason).collect();
            let reasons: Vec<String> = reasons.into_iter().take(3).cloned().collect();
            let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
            return Err(ImportError::Nothing(reasons));
        }
        let comment = format!("Made from {} by `switchboard toolkit import openapi`.", clean(&self.report.document));
        let tools: Vec<Value> = self.tools.values().cloned().collect();
        let text = write::tools(&tools, &comment);
        let mut toolkit = self.toolkit_text(previous, &comment, previous.tools.as_ref() != Some(&text));
        if self.own_toolkit.is_some() {
            self.report.kept.push("toolkit.toml".to_owned());
        } else if previous.toolkit.as_ref() == Some(&toolkit) {
            toolkit = previous.toolkit.clone().unwrap_or_default();
        }
        // As a server reads them.
        let mut catalog = Catalog::default();
        let checked = catalog.add_with_tools(&self.options.slug, &toolkit, &text);
        checked.map_err(|error| ImportError::Refused(error.to_string()))?;
        self.lock.toolkit = match (&self.own_toolkit, &self.earlier) {
            (Some(_), Some(earlier)) => earlier.toolkit.clone(),
            _ => digest_of_text(&toolkit),
        };
        self.complete_report(previous, &tools);
        Ok(Import { toolkit, tools: text, lock: self.lock.to_text(), report: self.report })
    }

    /// `toolkit.toml`, with another version if something has changed.
    fn toolkit_text(&mut self, previous: &Previous, comment: &str, tools_changed: bool) -> String {
        let earlier = previous.toolkit.as_deref().and_then(|text| toml::from_str::<Value>(text).ok());
        let earlier = earlier.as_ref().and_then(|keys| keys["version"].as_str()).unwrap_or_default().to_owned();
        if let Some(own) = &self.own_toolkit {
            let next = next_version(&earlier, &self.options.date);
            return if tools_changed {
                own.replacen(&format!("\"{earlier}\""), &format!("\"{next}\""), 1)
            } else {
                own.clone()
            };
        }
        if !earlier.is_empty() {
            self.toolkit_keys.insert("version".to_owned(), earlier.as_str().into());
            let same = write::toolkit(&self.toolkit_keys, comment);
            if !tools_changed && previous.toolkit.as_ref() == Some(&same) {
                return same;
            }
        }
        let version = next_version(&earlier, &self.options.date);
        self.toolkit_keys.insert("version".to_owned(), version.into());
        write::toolkit(&self.toolkit_keys, comment)
    }

    fn complete_report(&mut self, previous: &Previous, tools: &[Value]) {
        let report = &mut self.report;
        report.scopes = std::mem::take(&mut self.scopes).into_iter().collect();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an estimate"
        )]
        let tokens = (report.tokens as f64 / BYTES_PER_TOKEN) as usize;
        report.tokens = tokens;
        report.largest.sort_by_key(|size| std::cmp::Reverse(size.bytes));
        report.largest.truncate(10);
        report.kept.sort();
        if self.earlier.is_some() {
            let earlier: Vec<Value> = self.earlier_tools.values().cloned().collect();
            let hosts = previous.toolkit.as_deref().and_then(|text| toml::from_str::<Value>(text).ok());
            let hosts: Vec<String> = hosts
                .and_then(|keys| {
                    Some(keys["hosts"].as_array()?.iter().filter_map(|host| host.as_str().map(str::to_owned)).collect())
                })
                .unwrap_or_default();
            let found: Changes = changes(&earlier, tools, (&hosts, &report.hosts));
            if self.own_toolkit.is_some() && !found.added_hosts.is_empty() {
                let message = format!(
                    "toolkit.toml was changed by hand and stays as it is; the document also has the hosts {}",
                    found.added_hosts.join(", ")
                );
                report.findings.push(Finding { slug: None, message });
            }
            report.changes = Some(found);
        }
    }
}

fn parsed(slug: &str, text: &str) -> Result<std::sync::Arc<Toolkit>, ImportError> {
    let mut catalog = Catalog::default();
    catalog.add(&format!("{slug}/toolkit.toml"), text).map_err(|error| ImportError::Refused(error.to_string()))?;
    catalog.get(slug).cloned().ok_or_else(|| ImportError::Refused("the slug in toolkit.toml is another one".to_owned()))
}

fn title(document: &Document) -> String {
    let text = |key: &str| document.root.pointer(key).and_then(Value::as_str).map(clean).unwrap_or_default();
    let title = clip(&text("/info/title"), 100);
    let title = if title.is_empty() { "an OpenAPI document".to_owned() } else { title };
    format!("{title} {}", clip(&text("/info/version"), 40)).trim().to_owned()
}

fn earlier_tools(previous: &Previous) -> BTreeMap<String, Value> {
    let tools = previous.tools.as_deref().and_then(|text| toml::from_str::<Value>(text).ok()).unwrap_or_default();
    let tools = tools["tools"].as_array().cloned().unwrap_or_default();
    tools.into_iter().filter_map(|tool| Some((tool["slug"].as_str()?.to_owned(), tool))).collect()
}

/// `YYYYMMDD_NN` after another one.
fn next_version(earlier: &str, date: &str) -> String {
    match earlier.split_once('_').and_then(|(day, number)| Some((day, number.parse::<u32>().ok()?))) {
        Some((day, number)) if day >= date && number < 99 => format!("{day}_{:02}", number + 1),
        _ => format!("{date}_00"),
    }
}
