//! The index of a catalog's tools. It is made when it is first needed, once for each catalog, and shared.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lru::LruCache;
use serde_json::Value;
use switchboard_catalog::{Catalog, Effect, Tool, Toolkit};
use switchboard_search::{Document, DocumentSet, Index, IndexBuilder};
use switchboard_types::SessionId;

use super::Item;
use crate::app::base::core::Core;
use crate::app::base::tools::FoundTool;
use crate::app::session::Session;
use crate::app::tool::list::{is_allowed, is_deprecated};
use crate::error::{Error, Result};

/// Number of sessions whose allowed tools are remembered, a bit for each tool.
const CAPACITY: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(127);

/// The tools of a catalog with the index of their words.
#[derive(Debug)]
pub struct ToolIndex {
    /// The words.
    pub index: Index,
    /// The tools, by the numbers of their documents.
    tools: Vec<FoundTool>,
}

impl ToolIndex {
    /// The index of all tools of a catalog, which are read for it.
    pub fn new(catalog: &Catalog) -> Self {
        let mut builder = IndexBuilder::new();
        let mut tools = Vec::new();
        for toolkit in catalog.iter() {
            for row in toolkit.tools() {
                add(&mut builder, toolkit, row);
                tools.push(FoundTool { toolkit: Arc::clone(toolkit), row: Arc::clone(row), earlier: None });
            }
        }
        tools.sort_by(|one, other| one.row.slug.cmp(&other.row.slug));
        tools.dedup_by(|later, first| later.row.slug == first.row.slug);
        Self { index: builder.finish(), tools }
    }

    /// The tool of a document.
    pub fn tool(&self, document: u32) -> Option<&FoundTool> {
        self.tools.get(document as usize)
    }

    pub(super) fn item(&self, document: u32) -> Option<Item<'_>> {
        self.tool(document).map(Item::Tool)
    }

    /// The tools with the numbers of their documents.
    pub(super) fn documents(&self) -> impl Iterator<Item = (u32, &FoundTool)> {
        (0..).zip(&self.tools)
    }

    /// The toolkits of documents, in the order of their slugs.
    pub(super) fn toolkits_of(&self, documents: &DocumentSet) -> Vec<&Arc<Toolkit>> {
        let found = self.documents().filter(|(document, _)| documents.contains(*document));
        let mut toolkits: Vec<&Arc<Toolkit>> = found.map(|(_, found)| &found.toolkit).collect();
        toolkits.dedup_by(|one, other| Arc::ptr_eq(one, other));
        toolkits.sort_by(|one, other| one.slug.cmp(&other.slug));
        toolkits.dedup_by(|one, other| one.slug == other.slug);
        toolkits
    }
}

fn add(builder: &mut IndexBuilder, toolkit: &Toolkit, tool: &Tool) {
    let mut parameters: Vec<&str> = Vec::new();
    let mut parameter_texts: Vec<&str> = Vec::new();
    for (name, argument) in &tool.input {
        parameters.push(name);
        let values = argument.schema.get("enum").and_then(Value::as_array);
        parameters.extend(values.into_iter().flatten().filter_map(Value::as_str));
        parameter_texts.extend(argument.schema.get("description").and_then(Value::as_str));
    }
    let effect = match tool.effect {
        Effect::Read => switchboard_search::Effect::Read,
        Effect::Create => switchboard_search::Effect::Create,
        Effect::Update => switchboard_search::Effect::Update,
        Effect::Destructive => switchboard_search::Effect::Destructive,
    };
    builder.add(&Document {
        slug: &tool.slug,
        toolkit: &toolkit.slug,
        toolkit_names: &[&toolkit.name],
        toolkit_words: &toolkit.categories.iter().map(String::as_str).collect::<Vec<_>>(),
        title: &tool.title,
        use_cases: &tool.use_cases.iter().map(String::as_str).collect::<Vec<_>>(),
        description: &tool.description,
        parameters: &parameters,
        parameter_texts: &parameter_texts,
        effect: Some(effect),
        is_deprecated: is_deprecated(tool),
    });
}

/// The index of the catalog in force, and which of its tools sessions may run by their policies.
pub(in crate::app::tool) struct Indexes {
    current: tokio::sync::Mutex<Option<(Weak<Catalog>, Arc<ToolIndex>)>>,
    /// By session and version of its policy.
    allowed: Mutex<LruCache<(SessionId, i64), AllowedTools>>,
}

/// Tools that a session may run, of the index that they are numbered in.
type AllowedTools = (Weak<ToolIndex>, Arc<DocumentSet>);

impl Default for Indexes {
    fn default() -> Self {
        Self { current: tokio::sync::Mutex::default(), allowed: Mutex::new(LruCache::new(CAPACITY)) }
    }
}

impl Indexes {
    /// The index of the catalog in force. Calls that need it at once wait for the first of them to make it.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn of(&self, core: &Core) -> Result<Arc<ToolIndex>> {
        let catalog = core.catalog.get();
        let mut current = self.current.lock().await;
        // A weak pointer keeps the address from being used again.
        if let Some((_, index)) = current.as_ref().filter(|(of, _)| of.as_ptr() == Arc::as_ptr(&catalog)) {
            return Ok(Arc::clone(index));
        }
        let of = Arc::downgrade(&catalog);
        let index = core.files.run(move || Arc::new(ToolIndex::new(&catalog))).await.map_err(Error::internal)?;
        *current = Some((of, Arc::clone(&index)));
        Ok(index)
    }

    /// The tools that a session's policy allows.
    pub fn allowed(&self, session: &Session, index: &Arc<ToolIndex>) -> Arc<DocumentSet> {
        let key = session.stored_id().map(|id| (id.clone(), session.config_version));
        let remembered = key.as_ref().and_then(|key| {
            let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
            allowed.get(key).filter(|(of, _)| of.as_ptr() == Arc::as_ptr(index)).map(|(_, set)| Arc::clone(set))
        });
        if let Some(set) = remembered {
            return set;
        }
        let mut set = DocumentSet::new(index.index.len());
        for (document, _) in index.documents().filter(|(_, found)| is_allowed(session, found)) {
            set.insert(document);
        }
        let set = Arc::new(set);
        if let Some(key) = key {
            let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
            allowed.put(key, (Arc::downgrade(index), Arc::clone(&set)));
        }
        set
    }
}
