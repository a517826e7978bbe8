//! The toolkit of a command: a slug of the catalog, a file, or a toolkit's folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use switchboard_catalog::{Catalog, PlainHttp, Scheme, Toolkit};

/// Name of the file in a toolkit's folder.
pub(super) const FILE_NAME: &str = "toolkit.toml";

/// Name of the file with its tools.
pub(super) const TOOLS_FILE_NAME: &str = "tools.toml";

/// The toolkit of a command.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Slug of a toolkit, a toolkit file, or the folder of one.
    #[arg(value_name = "SLUG|FILE")]
    toolkit: String,
    /// Folder with additional toolkits; may be repeated.
    #[arg(long, env = "SWITCHBOARD_TOOLKITS", value_name = "DIR", value_delimiter = ',')]
    toolkits: Vec<PathBuf>,
    #[command(flatten)]
    plain: PlainArgs,
}

/// As the setting `allow_http`.
#[derive(Debug, Default, Args)]
pub(super) struct PlainArgs {
    /// Host, with its port, that files may name with http; may be repeated.
    #[arg(long, env = "SWITCHBOARD_ALLOW_HTTP", value_name = "HOST[:PORT]", value_delimiter = ',')]
    allow_http: Vec<String>,
}

impl PlainArgs {
    /// The hosts.
    pub(super) fn hosts(&self) -> Result<PlainHttp> {
        let hosts: Vec<String> = self.allow_http.iter().map(|host| host.trim().to_owned()).collect();
        let hosts: Vec<String> = hosts.into_iter().filter(|host| !host.is_empty()).collect();
        PlainHttp::parse(&hosts).map_err(|host| anyhow!("--allow-http: {host:?} is not a host or host:port"))
    }
}

impl Source {
    /// The file, if it is not a slug. A path has a slash or ends in `.toml`.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let path = Path::new(&self.toolkit);
        let is_path = self.toolkit.contains(std::path::MAIN_SEPARATOR)
            || path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        is_path.then(|| if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() })
    }

    /// The file with the tools of that file. Only a `toolkit.toml` has one.
    pub(super) fn tools_file(&self) -> Option<PathBuf> {
        let file = self.file().filter(|file| file.ends_with(FILE_NAME))?;
        Some(file.with_file_name(TOOLS_FILE_NAME)).filter(|tools| tools.exists())
    }

    /// Folders with additional toolkits.
    pub(super) fn folders(&self) -> &[PathBuf] {
        &self.toolkits
    }

    /// Loads the toolkit.
    pub(super) fn load(&self) -> Result<Arc<Toolkit>> {
        let mut catalog = Catalog::builtin().allowing(self.plain.hosts()?);
        let slug = if let Some(file) = self.file() {
            catalog.load_file(&file).map_err(|error| anyhow!("\n{error}"))?
        } else {
            for dir in &self.toolkits {
                catalog.load_dir(dir).map_err(|error| anyhow!("\n{error}"))?;
            }
            self.toolkit.to_ascii_lowercase()
        };
        let Some(toolkit) = catalog.get(&slug) else {
            bail!("there is no toolkit {slug:?}; for a file, give its path, such as ./{slug}/{FILE_NAME}")
        };
        Ok(Arc::clone(toolkit))
    }
}

/// The scheme of a command: the named one, else the toolkit's preferred one.
pub(super) fn pick_scheme(toolkit: &Toolkit, named: Option<&str>) -> Result<Scheme> {
    let schemes = toolkit.schemes();
    let Some(name) = named else { return schemes.first().copied().context("a toolkit without a scheme") };
    let scheme: Scheme = name.to_ascii_uppercase().parse()?;
    // Every toolkit with OAuth 2.0 accepts an existing token.
    let imports = scheme == Scheme::BearerToken && toolkit.oauth2.is_some();
    if schemes.contains(&scheme) || imports {
        return Ok(scheme);
    }
    let known: Vec<&str> = schemes.iter().map(|scheme| scheme.as_str()).collect();
    bail!("{} has no {scheme}; it has {}", toolkit.slug, known.join(", "))
}
