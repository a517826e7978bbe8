//! `[keep]`: how long ended objects are kept.

use anyhow::Result;
use clap::Args;
use serde::Deserialize;

use super::invalid::invalid;
use super::layered::{Overlay, layered};
use crate::app::base::settings::Retention;
use crate::time::DAY;

/// Ten years.
const MAX_DAYS: u32 = 3_650;
/// Maximum policies of one session.
const MAX_VERSIONS: u32 = 10_000;

layered! {
/// One layer of these settings. An absent value falls through to the layer below.
#[derive(Args, Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepLayer {
    /// Days that ended links are kept, 0 for unlimited [default: 30].
    #[arg(long = "keep-ended-links-days", env = "SWITCHBOARD_KEEP_ENDED_LINKS_DAYS", value_name = "DAYS")]
    pub ended_links_days: Option<u32>,
    /// Days that accounts whose link ended without a connection are kept, 0 for unlimited [default: 30].
    #[arg(
        long = "keep-unconnected-accounts-days",
        env = "SWITCHBOARD_KEEP_UNCONNECTED_ACCOUNTS_DAYS",
        value_name = "DAYS"
    )]
    pub unconnected_accounts_days: Option<u32>,
    /// Days that rows of deleted accounts, auth configs and sessions are kept, 0 for unlimited [default: 30].
    #[arg(long = "keep-deleted-rows-days", env = "SWITCHBOARD_KEEP_DELETED_ROWS_DAYS", value_name = "DAYS")]
    pub deleted_rows_days: Option<u32>,
    /// Days that receipts of revocations are kept, 0 for unlimited [default: 90].
    #[arg(
        long = "keep-revocation-receipts-days",
        env = "SWITCHBOARD_KEEP_REVOCATION_RECEIPTS_DAYS",
        value_name = "DAYS"
    )]
    pub revocation_receipts_days: Option<u32>,
    /// Days that the log of calls is kept, 0 for unlimited [default: 30].
    #[arg(long = "keep-tool-calls-days", env = "SWITCHBOARD_KEEP_TOOL_CALLS_DAYS", value_name = "DAYS")]
    pub tool_calls_days: Option<u32>,
    /// Days that uploads and results of tools are kept as files, 0 for unlimited [default: 30].
    #[arg(long = "keep-files-days", env = "SWITCHBOARD_KEEP_FILES_DAYS", value_name = "DAYS")]
    pub files_days: Option<u32>,
    /// Days that versions of tools are kept which this server no longer has and no session uses, 0 for unlimited
    /// [default: 365].
    #[arg(long = "keep-tool-versions-days", env = "SWITCHBOARD_KEEP_TOOL_VERSIONS_DAYS", value_name = "DAYS")]
    pub tool_versions_days: Option<u32>,
    /// Earlier policies that are kept of a session [default: 100].
    #[arg(long = "keep-session-versions", env = "SWITCHBOARD_KEEP_SESSION_VERSIONS", value_name = "N")]
    pub session_versions: Option<u32>,
}
}

impl KeepLayer {
    /// Validates all settings.
    pub fn check(self) -> Result<Retention> {
        let days = |name: &str, given: Option<u32>| match given {
            None | Some(0) => Ok(None),
            Some(days) if days <= MAX_DAYS => Ok(Some(DAY * days)),
            Some(days) => Err(invalid(&format!("keep.{name}"), &days.to_string(), &format!("0 to {MAX_DAYS}"))),
        };
        let versions = self.session_versions.unwrap_or(100);
        if !(1..=MAX_VERSIONS).contains(&versions) {
            let takes = format!("1 to {MAX_VERSIONS}");
            return Err(invalid("keep.session_versions", &versions.to_string(), &takes));
        }
        Ok(Retention {
            ended_links: days("ended_links_days", self.ended_links_days)?,
            unconnected_accounts: days("unconnected_accounts_days", self.unconnected_accounts_days)?,
            deleted_rows: days("deleted_rows_days", self.deleted_rows_days)?,
            revocation_receipts: days("revocation_receipts_days", self.revocation_receipts_days)?,
            tool_calls: days("tool_calls_days", self.tool_calls_days)?,
            files: days("files_days", self.files_days)?,
            tool_versions: days("tool_versions_days", self.tool_versions_days)?,
            session_versions: i64::from(versions),
        })
    }
}
