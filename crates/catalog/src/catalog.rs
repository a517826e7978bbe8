//! The catalog: all toolkits of this service, by slug.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::builtin::{BUILTINS, Builtin};
use crate::error::CatalogError;
use crate::model::Toolkit;
use crate::parse;
use crate::plain_http::PlainHttp;
use crate::tool::{Release, Tools};

/// Name of the file inside a toolkit's folder.
const FILE_NAME: &str = "toolkit.toml";
/// Name of the file with its tools, which is optional.
const TOOLS_FILE_NAME: &str = "tools.toml";

/// Maximum size of a toolkit file in bytes; the largest builtin one has a few thousand.
const MAX_BYTES: u64 = 256 * 1024;
/// Maximum size of a file with tools in bytes: some thousand tools of an imported document.
const MAX_TOOLS_BYTES: u64 = 16 * 1024 * 1024;

/// Toolkits by slug, in the order of slugs.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Hosts that files may use with `http`.
    plain: PlainHttp,
    toolkits: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Builtin(&'static Builtin),
    Loaded(Arc<Toolkit>),
}

impl Entry {
    fn toolkit(&self) -> Option<&Arc<Toolkit>> {
        match self {
            Self::Builtin(builtin) => builtin.toolkit(),
            Self::Loaded(toolkit) => Some(toolkit),
        }
    }
}

impl Entry {
    fn release(&self) -> Option<Arc<Release>> {
        match self {
            Self::Builtin(builtin) => builtin.release().map(Arc::new),
            Self::Loaded(toolkit) => toolkit.release(),
        }
    }
}

impl Catalog {
    /// The builtin toolkits. Each is parsed when it is first needed.
    pub fn builtin() -> Self {
        let entries = BUILTINS.iter().map(|builtin| (builtin.slug.to_owned(), Entry::Builtin(builtin)));
        Self { toolkits: entries.collect(), ..Self::default() }
    }

    /// The same; files added later may use these hosts with `http`.
    #[must_use]
    pub fn allowing(self, plain: PlainHttp) -> Self {
        Self { plain, ..self }
    }

    /// Adds every `dir/<slug>/toolkit.toml` and returns their number. An existing slug is replaced. Hidden
    /// entries and plain files are skipped.
    ///
    /// # Errors
    /// All problems of all files; the catalog is then unchanged. A folder without `toolkit.toml`, a file over
    /// 256 KiB (16 MiB for tools) and a file that is not UTF-8 are also problems.
    pub fn load_dir(&mut self, dir: &Path) -> Result<usize, CatalogError> {
        let mut loaded = Vec::new();
        let mut problems = Vec::new();
        for path in toolkit_files(dir)? {
            match load(&path, &self.plain) {
                Ok(toolkit) => loaded.push(toolkit),
                Err(error) => problems.extend(error.into_problems()),
            }
        }
        if !problems.is_empty() {
            return Err(CatalogError::new(problems));
        }
        let count = loaded.len();
        for toolkit in loaded {
            self.insert(Arc::new(toolkit));
        }
        Ok(count)
    }

    /// Adds one toolkit from the text of its file. An existing slug is replaced. `file_name` is used in
    /// messages; its folder, if any, must equal the slug.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn add(&mut self, file_name: &str, text: &str) -> Result<(), CatalogError> {
        let toolkit = parse::toolkit(file_name, text, &self.plain)?;
        self.insert(Arc::new(toolkit));
        Ok(())
    }

    /// The catalog without one toolkit, such as the sandbox when its provider does not run.
    #[must_use]
    pub fn without(mut self, slug: &str) -> Self {
        self.toolkits.remove(slug);
        self
    }

    pub(crate) fn insert(&mut self, toolkit: Arc<Toolkit>) {
        self.toolkits.insert(toolkit.slug.clone(), Entry::Loaded(toolkit));
    }

    /// Adds one toolkit with its tools from the texts of `toolkit.toml` and `tools.toml`, as if both were in a folder of
    /// this name. An existing slug is replaced.
    ///
    /// # Errors
    /// All problems of the first file that has any.
    pub fn add_with_tools(&mut self, folder: &str, text: &str, tools: &str) -> Result<Arc<Toolkit>, CatalogError> {
        let mut toolkit = parse::toolkit(&format!("{folder}/{FILE_NAME}"), text, &self.plain)?;
        let rows = parse::tools(&format!("{folder}/{TOOLS_FILE_NAME}"), tools, &toolkit)?;
        let release = Release::of_text((&toolkit.slug, &toolkit.version, &toolkit.name), tools);
        toolkit.tools = Tools::loaded(rows, release);
        let toolkit = Arc::new(toolkit);
        self.insert(Arc::clone(&toolkit));
        Ok(toolkit)
    }

    /// Adds one file of any name and returns its slug. An existing slug is replaced. The folder of a
    /// `toolkit.toml` must be named like its slug.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn load_file(&mut self, path: &Path) -> Result<String, CatalogError> {
        // Only the folder of a `toolkit.toml` must match the slug, and only it can have tools beside it.
        let in_place = path.file_name().is_some_and(|name| name == FILE_NAME);
        let toolkit = if in_place {
            load(path, &self.plain)?
        } else {
            let shown = path.display().to_string();
            parse::loose_toolkit(&shown, &read(path, &shown, MAX_BYTES)?, &self.plain)?
        };
        let slug = toolkit.slug.clone();
        self.insert(Arc::new(toolkit));
        Ok(slug)
    }

    /// The toolkit with this exact lower-case slug.
    pub fn get(&self, slug: &str) -> Option<&Arc<Toolkit>> {
        self.toolkits.get(slug)?.toolkit()
    }

    /// All toolkits in the order of slugs.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Toolkit>> {
        self.toolkits.values().filter_map(Entry::toolkit)
    }

    /// The releases of all toolkits with tools, in the order of slugs. No file is read for it.
    pub fn releases(&self) -> impl Iterator<Item = Arc<Release>> {
        self.toolkits.values().filter_map(Entry::release)
    }

    /// Number of toolkits.
    pub fn len(&self) -> usize {
        self.toolkits.len()
    }

    /// Whether there are no toolkits.
    pub fn is_empty(&self) -> bool {
        self.toolkits.is_empty()
    }
}

/// The paths of toolkit files below `dir`, sorted, even if a file does not exist.
pub(crate) fn toolkit_files(dir: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let unreadable = |error: std::io::Error| {
        CatalogError::unreadable(&dir.display().to_string(), format!("cannot read folder: {error}"))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // `is_dir` follows symlinks: mounted configuration is often a symlink to a folder.
        if !hidden && path.is_dir() {
            files.push(path.join(FILE_NAME));
        }
    }
    files.sort();
    Ok(files)
}

/// The toolkit of a `toolkit.toml`, with the tools beside it.
pub(crate) fn load(path: &Path, plain: &PlainHttp) -> Result<Toolkit, CatalogError> {
    let file_name = path.display().to_string();
    let mut toolkit = parse::toolkit(&file_name, &read(path, &file_name, MAX_BYTES)?, plain)?;
    let tools = tools_file(path);
    if tools.exists() {
        let file_name = tools.display().to_string();
        let text = read(&tools, &file_name, MAX_TOOLS_BYTES)?;
        let rows = parse::tools(&file_name, &text, &toolkit)?;
        let release = Release::of_text((&toolkit.slug, &toolkit.version, &toolkit.name), &text);
        toolkit.tools = Tools::loaded(rows, release);
    }
    Ok(toolkit)
}

/// The path of the file with the tools of a toolkit.
pub(crate) fn tools_file(toolkit: &Path) -> PathBuf {
    toolkit.with_file_name(TOOLS_FILE_NAME)
}

fn read(path: &Path, file_name: &str, limit: u64) -> Result<String, CatalogError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(CatalogError::unreadable(file_name, format!("cannot read file: {error}")));
    }
    if bytes.len() as u64 > limit {
        let message = format!("file is larger than {limit} bytes");
        return Err(CatalogError::unreadable(file_name, message));
    }
    String::from_utf8(bytes).map_err(|_| CatalogError::unreadable(file_name, "file is not UTF-8 text".to_owned()))
}
