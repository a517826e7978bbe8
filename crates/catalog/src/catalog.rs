//! The catalog: all toolkits that this service knows, by slug.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::builtin;
use crate::error::CatalogError;
use crate::model::Toolkit;
use crate::parse;
use crate::plain_http::PlainHttp;

/// Name of the file inside a toolkit's folder.
const FILE_NAME: &str = "toolkit.toml";

/// Largest toolkit file that is read, in bytes; the largest builtin one has a few thousand.
const MAX_BYTES: u64 = 256 * 1024;

/// Toolkits by slug, in the slugs' order.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Hosts that files may name with `http`.
    plain: PlainHttp,
    toolkits: BTreeMap<String, Arc<Toolkit>>,
}

impl Catalog {
    /// The toolkits that come with the binary.
    ///
    /// # Errors
    /// Only when the binary was built from a broken file, which the tests exclude.
    pub fn builtin() -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        for (file_name, text) in builtin::FILES {
            catalog.add(file_name, text)?;
        }
        Ok(catalog)
    }

    /// The same, whose further files may name these hosts with `http`.
    #[must_use]
    pub fn allowing(self, plain: PlainHttp) -> Self {
        Self { plain, ..self }
    }

    /// Adds every `dir/<slug>/toolkit.toml` and answers how many there were. A slug that exists
    /// already is replaced. Entries that begin with a dot and plain files are passed over.
    ///
    /// # Errors
    /// All problems of all files; the catalog is then unchanged. A folder without `toolkit.toml`,
    /// a file over 256 KiB and a file that is not UTF-8 are problems too.
    pub fn load_dir(&mut self, dir: &Path) -> Result<usize, CatalogError> {
        let mut loaded = Vec::new();
        let mut problems = Vec::new();
        for path in toolkit_files(dir)? {
            let file_name = path.display().to_string();
            let parsed = read(&path, &file_name).and_then(|text| parse::toolkit(&file_name, &text, &self.plain));
            match parsed {
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

    /// Adds one toolkit from the text of its file; a slug that exists already is replaced.
    /// `file_name` appears in messages, and its folder, if it has one, must equal the slug.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn add(&mut self, file_name: &str, text: &str) -> Result<(), CatalogError> {
        let toolkit = parse::toolkit(file_name, text, &self.plain)?;
        self.insert(Arc::new(toolkit));
        Ok(())
    }

    /// The catalog without one toolkit, such as the sandbox where its provider does not run.
    #[must_use]
    pub fn without(mut self, slug: &str) -> Self {
        self.toolkits.remove(slug);
        self
    }

    pub(crate) fn insert(&mut self, toolkit: Arc<Toolkit>) {
        self.toolkits.insert(toolkit.slug.clone(), toolkit);
    }

    /// Adds one file, whatever its own name is, and answers its slug; a slug that exists already is
    /// replaced. The folder of a `toolkit.toml` must be named as its slug.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn load_file(&mut self, path: &Path) -> Result<String, CatalogError> {
        let shown = path.display().to_string();
        let text = read(path, &shown)?;
        // Only a file in its place has a folder that must fit.
        let in_place = path.file_name().is_some_and(|name| name == FILE_NAME);
        let toolkit = if in_place {
            parse::toolkit(&shown, &text, &self.plain)?
        } else {
            parse::loose_toolkit(&shown, &text, &self.plain)?
        };
        let slug = toolkit.slug.clone();
        self.insert(Arc::new(toolkit));
        Ok(slug)
    }

    /// The toolkit with exactly this lower-case slug.
    pub fn get(&self, slug: &str) -> Option<&Arc<Toolkit>> {
        self.toolkits.get(slug)
    }

    /// All toolkits in the order of their slugs.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Toolkit>> {
        self.toolkits.values()
    }

    /// How many toolkits there are.
    pub fn len(&self) -> usize {
        self.toolkits.len()
    }

    /// Whether there is no toolkit at all.
    pub fn is_empty(&self) -> bool {
        self.toolkits.is_empty()
    }
}

/// The toolkit files below `dir`, sorted, whether or not each exists.
pub(crate) fn toolkit_files(dir: &Path) -> Result<Vec<PathBuf>, CatalogError> {
    let unreadable = |error: std::io::Error| {
        CatalogError::unreadable(&dir.display().to_string(), format!("cannot read folder: {error}"))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        // `is_dir` follows links: mounted configuration is often a link to a folder.
        if !hidden && path.is_dir() {
            files.push(path.join(FILE_NAME));
        }
    }
    files.sort();
    Ok(files)
}

pub(crate) fn read(path: &Path, file_name: &str) -> Result<String, CatalogError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(CatalogError::unreadable(file_name, format!("cannot read file: {error}")));
    }
    if bytes.len() as u64 > MAX_BYTES {
        let message = format!("file is larger than {MAX_BYTES} bytes");
        return Err(CatalogError::unreadable(file_name, message));
    }
    String::from_utf8(bytes).map_err(|_| CatalogError::unreadable(file_name, "file is not UTF-8 text".to_owned()))
}
