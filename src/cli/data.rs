//! Location of the data: arguments of all commands that use it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;

use crate::app::App;
use crate::config::{self, Layer};
use crate::server;

/// Location of the data; shared by all commands that use it.
#[derive(Debug, Default, Args)]
pub(super) struct DataArgs {
    /// Configuration file [default: switchboard.toml, if it exists].
    #[arg(long, env = "SWITCHBOARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for the database and the master key [default: switchboard-data].
    #[arg(long, env = "SWITCHBOARD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Database, such as <sqlite:/var/lib/switchboard/switchboard.db> [default: in the data folder].
    #[arg(long, env = "SWITCHBOARD_DATABASE_URL", value_name = "URL")]
    database_url: Option<String>,
    /// Master key file [default: master.key in the data folder].
    #[arg(long, env = "SWITCHBOARD_MASTER_KEY_FILE", value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// The audit log's head [default: the database's name with .audit-head].
    #[arg(long, env = "SWITCHBOARD_AUDIT_HEAD_FILE", value_name = "FILE")]
    audit_head_file: Option<PathBuf>,
}

impl DataArgs {
    /// Flags and environment overlaid on the configuration file.
    pub(super) fn layer(self, flags: Layer) -> Result<Layer> {
        let file = config::load_file(self.config.as_deref())?;
        let own = Layer {
            data_dir: self.data_dir,
            database_url: self.database_url,
            master_key_file: self.master_key_file,
            audit_head_file: self.audit_head_file,
            ..flags
        };
        Ok(own.overlay(file))
    }

    /// The application without a server and without the master key, for commands that manage projects
    /// and keys, which need no sealed value. Unless `create`, the database must exist.
    pub(super) fn manage(self, create: bool) -> Result<Arc<App>> {
        let config = self.layer(Layer::default())?.overlay(Layer::defaults()?).check()?;
        if !create && !config.database.exists() {
            bail!("there is no database at {}; name the server's folder with --data-dir", config.database.display());
        }
        server::open_for_management(config)
    }
}
