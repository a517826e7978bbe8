//! The receipt of a job: the outcome for each credential.

use schemars::JsonSchema;
use serde::Serialize;
use switchboard_store::revocations::{RevocationCounts, RevocationRow, RevocationState};
use switchboard_store::{ListPage, PageQuery};
use switchboard_types::ProjectId;

use super::{RevokedToken, parse_tokens};
use crate::app::base::errors::readable;
use crate::app::revocation::Revocations;
use crate::error::{Code, Error, Result};
use crate::text::truncate;
use crate::time::iso;

/// The outcome for the credentials that one request revoked.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RevokeJob {
    /// `rvj_…`.
    pub id: String,
    /// `pending` while a credential waits for its provider, then `finished`.
    pub status: &'static str,
    /// Credentials of the job.
    pub total: i64,
    /// Revoked at the provider, or no longer valid there.
    pub revoked: i64,
    /// The toolkit or provider does not support revoking them.
    pub not_supported: i64,
    /// The provider refused, or could not be reached for a day.
    pub failed: i64,
    /// Not revoked, because another account uses the same grant or installation. The last account that uses it
    /// revokes it.
    pub kept: i64,
    /// Not attempted yet, or waiting for the next attempt.
    pub pending: i64,
    /// One page of the credentials, oldest first.
    pub items: Vec<RevokeJobItem>,
    /// `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// One credential of a job.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RevokeJobItem {
    /// The account that held it.
    pub connected_account_id: String,
    /// Toolkit slug.
    pub toolkit: String,
    /// `pending`, `revoked`, `not_supported`, `failed` or `kept`.
    pub outcome: &'static str,
    /// What the provider has revoked so far.
    pub revoked_tokens: Vec<RevokedToken>,
    /// Why it is not revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Number of attempts.
    pub tries: i64,
    /// Time of the next attempt; only while pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<String>,
    /// When it was queued.
    pub created_at: String,
    /// When the outcome was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

impl Revocations {
    /// The counts of a job of the caller's project, and one page of its credentials.
    pub async fn revoke_job(
        &self,
        project: &ProjectId,
        id: &str,
        page: PageQuery,
    ) -> Result<(ListPage<RevokeJobItem>, RevocationCounts)> {
        let (ListPage { rows, next, total }, counts) = self.core.store.revocations(project, id, page).await?;
        if total == 0 {
            return Err(Error::of(Code::RevokeJobNotFound, &[("id", &truncate(id))]));
        }
        let items = rows.into_iter().filter_map(|row| readable(&row.id.clone(), item(row))).collect();
        Ok((ListPage { rows: items, next, total }, counts))
    }
}

fn item(row: RevocationRow) -> Result<RevokeJobItem> {
    let (outcome, next_try_at, finished_at) = match &row.state {
        RevocationState::Pending { next_try_at, .. } => ("pending", Some(iso(*next_try_at)), None),
        RevocationState::Finished { outcome, at } => (outcome.as_str(), None, Some(iso(*at))),
    };
    Ok(RevokeJobItem {
        connected_account_id: row.account_id.into(),
        toolkit: row.toolkit,
        outcome,
        revoked_tokens: parse_tokens(&row.tokens)?,
        detail: row.detail,
        tries: row.tries,
        next_try_at,
        created_at: iso(row.created_at),
        finished_at,
    })
}
