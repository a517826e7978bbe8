//! The connection methods of a toolkit: a scheme and its auth config.

use std::sync::Arc;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_types::ProjectId;
use switchboard_vault::Secrets;

use crate::app::auth_config::AuthConfigs;
use crate::error::{Class, Error, Result};

/// One connection method: a scheme, and its auth config if there is one already.
#[derive(Clone, Debug)]
pub struct ConnectMethod {
    /// The scheme.
    pub scheme: Scheme,
    /// The auth config; none if it is created when the user chooses this method.
    pub config: Option<Arc<AuthConfigRow>>,
}

impl AuthConfigs {
    /// All connection methods that a user of a project can use now, in the toolkit's order.
    pub async fn methods(&self, project: &ProjectId, toolkit: &Toolkit) -> Result<Vec<ConnectMethod>> {
        let candidates = self.usable_configs(project, toolkit).await?;
        // A managed auth config that is not usable was disabled on purpose, and is not created again.
        let managed = self.core.store.managed_schemes(project, &toolkit.slug).await?;
        let mut methods = Vec::new();
        for scheme in toolkit.schemes() {
            let config = candidates.as_ref().and_then(|candidates| candidates.newest_of(scheme)).cloned();
            let is_possible = match &config {
                Some(config) => is_allowed(self.credentials.check_offered(toolkit, config, &Secrets::new()).await)?,
                None if managed.iter().any(|managed| managed == scheme.as_str()) => false,
                None => self.can_create_now(project, toolkit, scheme).await?,
            };
            if is_possible {
                methods.push(ConnectMethod { scheme, config });
            }
        }
        Ok(methods)
    }

    /// Whether an auth config of a scheme can be created for a link now.
    async fn can_create_now(&self, project: &ProjectId, toolkit: &Toolkit, scheme: Scheme) -> Result<bool> {
        if !self.can_create(project, toolkit, scheme) {
            return Ok(false);
        }
        if toolkit.uses_device_code(scheme) {
            return is_allowed(self.credentials.check_no_verifier(project).await);
        }
        Ok(true)
    }
}

/// Whether a check passed. Errors other than the client's own are returned.
fn is_allowed(checked: Result<()>) -> Result<bool> {
    match checked {
        Ok(()) => Ok(true),
        Err(error) if is_client_error(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_client_error(error: &Error) -> bool {
    matches!(error.code().class(), Class::BadRequest | Class::Unprocessable)
}
