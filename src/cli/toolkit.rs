//! `switchboard toolkit lint|show`.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use switchboard_catalog::Catalog;

#[derive(Debug, Args)]
pub(super) struct ToolkitArgs {
    #[command(subcommand)]
    command: ToolkitCommand,
}

#[derive(Debug, Subcommand)]
enum ToolkitCommand {
    /// Check a folder of toolkits; names file, line and key of every mistake.
    Lint {
        /// Folder with one sub-folder per toolkit.
        dir: PathBuf,
    },
    /// Show a toolkit as the server reads it, defaults filled in.
    Show {
        /// Its slug.
        slug: String,
        /// Folder with further toolkits; may be repeated.
        #[arg(long, env = "SWITCHBOARD_TOOLKITS", value_name = "DIR", value_delimiter = ',')]
        toolkits: Vec<PathBuf>,
    },
}

pub(super) fn run(args: &ToolkitArgs) -> Result<()> {
    match &args.command {
        ToolkitCommand::Lint { dir } => {
            let count = Catalog::default().load_dir(dir).map_err(|error| anyhow!("\n{error}"))?;
            println!("{count} toolkits, no mistakes");
        }
        ToolkitCommand::Show { slug, toolkits } => {
            let mut catalog = Catalog::builtin()?;
            for dir in toolkits {
                catalog.load_dir(dir).map_err(|error| anyhow!("\n{error}"))?;
            }
            let Some(toolkit) = catalog.get(slug) else { bail!("there is no toolkit {slug:?}") };
            println!("{}", serde_json::to_string_pretty(&**toolkit)?);
        }
    }
    Ok(())
}
