//! `switchboard toolkit import openapi`: makes the folder of a toolkit from an API's own document. An import into the same
//! folder takes a newer document: it prints what changes, renames nothing, and keeps what people have changed.

mod args;
mod fetch;
mod print;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;
use switchboard_openapi::{Import, Options, Previous, bundle, import, read};
use url::Url;

pub(super) use self::args::ImportArgs;
use self::args::{Kind, OpenapiArgs};
use super::source::{FILE_NAME, TOOLS_FILE_NAME};
use super::words::today;
use crate::cli::output;

/// The file beside them that later imports read.
const LOCK_FILE_NAME: &str = "openapi.lock.json";

pub(super) async fn run(args: ImportArgs) -> Result<()> {
    let Kind::Openapi(args) = args.kind;
    let (root, url) = document(&args).await?;
    let folder = args.out.join(&args.slug);
    let previous = previous(&folder)?;
    let options = options(&args, url);
    let done = import(root, &previous, &options).map_err(|error| anyhow!("{error}"))?;
    if !args.dry_run {
        write(&folder, &done)?;
    }
    if args.json {
        return output::line(serde_json::to_string_pretty(&done.report)?);
    }
    output::print(print::report(&done.report, &folder, args.dry_run))
}

/// The document with the files that it refers to, and its URL.
async fn document(args: &OpenapiArgs) -> Result<(Value, Option<Url>)> {
    let url = Url::parse(&args.document).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let bytes = match &url {
        Some(url) => fetch::fetch(args, url).await?,
        None => fs::read(&args.document).with_context(|| format!("cannot read {}", args.document))?,
    };
    let root = read(&bytes).map_err(|error| anyhow!("{}: {error}", args.document))?;
    let beside = Path::new(&args.document).parent().unwrap_or(Path::new(""));
    let mut files = BTreeMap::new();
    for path in &args.with {
        let bytes = fs::read(path).with_context(|| format!("--with: cannot read {}", path.display()))?;
        let value = read(&bytes).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let name = path.strip_prefix(beside).unwrap_or(path);
        files.insert(name.to_string_lossy().replace('\\', "/"), value);
    }
    Ok((bundle(root, files), url))
}

fn options(args: &OpenapiArgs, url: Option<Url>) -> Options {
    let source = url.clone().map_or_else(|| file_name(&args.document), without_query);
    Options {
        slug: args.slug.clone(),
        name: args.name.clone(),
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        limit: args.limit,
        prefix: args.prefix.clone(),
        base_url: args.base_url.clone(),
        auth: args.auth.clone(),
        source_url: url,
        source,
        date: today().replace('-', ""),
    }
}

/// A URL without what may be a secret.
fn without_query(mut url: Url) -> String {
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What an earlier import has written into the folder.
fn previous(folder: &Path) -> Result<Previous> {
    let text = |name: &str| match fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.join(name).display())),
    };
    Ok(Previous { toolkit: text(FILE_NAME)?, tools: text(TOOLS_FILE_NAME)?, lock: text(LOCK_FILE_NAME)? })
}

/// Writes the files; a server that watches the folder sees each as a whole.
fn write(folder: &Path, done: &Import) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in [(TOOLS_FILE_NAME, &done.tools), (FILE_NAME, &done.toolkit), (LOCK_FILE_NAME, &done.lock)] {
        let path = folder.join(name);
        let new: PathBuf = folder.join(format!(".{name}.new"));
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            bail!("cannot write {}: {error}", path.display());
        }
    }
    Ok(())
}
