//! Creates API keys.

use std::time::Duration;

use serde_json::json;
use switchboard_store::api_keys::{self, ApiKeyRow};
use switchboard_store::organization_keys::{self, OrganizationKeyRow};
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_types::{AuditAction, AuditOutcome, ProjectId, SessionId};
use switchboard_vault::ApiKey;

use super::{KeyOwner, KeyScope, Keys, check_email, check_key_name};
use crate::app::Actor;
use crate::app::project::not_found;
use crate::error::{Error, Result};
use crate::id::Kind;

impl Keys {
    /// Creates another key of a project, with full access.
    pub async fn create(&self, actor: &Actor, name: &str) -> Result<(ApiKey, ApiKeyRow)> {
        self.create_scoped_key(actor, name, &KeyScope::default()).await
    }

    /// Creates another key of a project.
    pub async fn create_scoped_key(&self, actor: &Actor, name: &str, scope: &KeyScope) -> Result<(ApiKey, ApiKeyRow)> {
        check_key_name(name)?;
        let (key, row) = self.new_key(&actor.project_id, name, scope)?;
        let unit = self.insert(actor, &key, &row);
        match self.core.store.apply(unit).await {
            Ok(_) => Ok((key, row)),
            Err(WriteError::Refused(Refusal::ProjectGone)) => Err(not_found(&actor.project_id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a key for the MCP endpoint of one session, which ends after a time.
    ///
    /// # Errors
    /// There is no such project, or the name is not one.
    pub async fn create_session_key(
        &self,
        actor: &Actor,
        name: &str,
        session: &SessionId,
        lifetime: Duration,
    ) -> Result<(ApiKey, ApiKeyRow)> {
        check_key_name(name)?;
        let scope = KeyScope { session: Some(session.clone()), ..KeyScope::default() };
        let (key, row) = self.new_key(&actor.project_id, name, &scope)?;
        let row = ApiKeyRow { expires_at: Some(row.created_at + lifetime), ..row };
        match self.core.store.apply(self.insert(actor, &key, &row)).await {
            Ok(_) => Ok((key, row)),
            Err(WriteError::Refused(Refusal::ProjectGone)) => Err(not_found(&actor.project_id)),
            Err(error) => Err(error.into()),
        }
    }

    /// The statements that insert a key.
    pub(in crate::app) fn insert(&self, actor: &Actor, key: &ApiKey, row: &ApiKeyRow) -> Unit {
        let scoped = match &row.session_id {
            Some(session) => Some(json!({ "session_id": session })),
            None => (row.permissions.is_some() || row.allowed_ips.is_some())
                .then(|| json!({ "permissions": row.permissions, "allowed_ips": row.allowed_ips })),
        };
        api_keys::insert(row, key.digest()).with(self.core.audit(
            actor,
            AuditAction::ApiKeyCreate,
            &row.id,
            AuditOutcome::Ok,
            scoped.map(|detail| detail.to_string()),
        ))
    }

    /// A new key of a project, not yet stored.
    pub(in crate::app) fn new_key(
        &self,
        project: &ProjectId,
        name: &str,
        scope: &KeyScope,
    ) -> Result<(ApiKey, ApiKeyRow)> {
        let key = ApiKey::generate(&*self.core.entropy);
        let row = ApiKeyRow {
            id: self.core.mint(Kind::ApiKey).into(),
            project_id: project.to_owned(),
            name: name.to_owned(),
            prefix: key.display_prefix().to_owned(),
            created_at: self.core.now(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            permissions: scope.permissions.as_ref().map(serde_json::to_string).transpose().map_err(Error::internal)?,
            allowed_ips: scope.allowed_ips.as_ref().map(serde_json::to_string).transpose().map_err(Error::internal)?,
            session_id: scope.session.clone(),
        };
        Ok((key, row))
    }

    /// Creates a key of the organization or of a member.
    pub async fn create_organization_key(
        &self,
        actor: &Actor,
        name: &str,
        owner: &KeyOwner,
    ) -> Result<(ApiKey, OrganizationKeyRow)> {
        check_key_name(name)?;
        if let KeyOwner::User { email } = owner {
            check_email(email)?;
        }
        let key = ApiKey::generate_of(owner.kind(), &*self.core.entropy);
        let (kind, email) = owner.stored();
        let row = OrganizationKeyRow {
            id: self.core.mint(Kind::ApiKey).into(),
            kind,
            name: name.to_owned(),
            email: email.map(ToOwned::to_owned),
            prefix: key.display_prefix().to_owned(),
            created_at: self.core.now(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        let unit = Unit::new().with(organization_keys::insert(&row, key.digest())).with(self.core.audit(
            actor,
            AuditAction::OrganizationKeyCreate,
            &row.id,
            AuditOutcome::Ok,
            None,
        ));
        self.core.store.apply(unit).await?;
        Ok((key, row))
    }
}
