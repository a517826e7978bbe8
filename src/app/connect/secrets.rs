//! Keys, tokens and passwords that the visitor enters: checked, proven at the provider where the
//! toolkit says how, then sealed. What was entered is never shown again.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_catalog::{Field, Probe, Scheme, Toolkit};
use switchboard_store::accounts::{AccountStatus, Activation};
use switchboard_store::{WriteError, links};
use switchboard_vault::{Secret, Secrets};

use super::start::Started;
use super::visit::Offer;
use super::{Ending, Finished};
use crate::app::params::AccountParams;
use crate::app::upstream::Verification;
use crate::app::{Actor, App};
use crate::error::{Error, Result};

/// Values of a form, secrets apart.
pub(in crate::app) struct Entered {
    pub fields: BTreeMap<String, String>,
    pub secrets: Secrets,
}

/// Checks a form against its fields; every wrong field is named. What the form leaves empty is
/// taken from what is known already, then from the field's default.
pub(in crate::app) fn read_fields(
    fields: &[Field],
    form: &BTreeMap<String, String>,
    known: &Secrets,
) -> std::result::Result<Entered, BTreeMap<String, String>> {
    let mut entered = Entered { fields: BTreeMap::new(), secrets: Secrets::new() };
    let mut wrong = BTreeMap::new();
    for field in fields {
        let given = form.get(&field.name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let Some(value) = given.or_else(|| known.get(&field.name)).or(field.default.as_deref()) else {
            if field.required {
                wrong.insert(field.name.clone(), format!("{} is required.", field.display_name));
            }
            continue;
        };
        if let Err(reason) = field.check(value) {
            wrong.insert(field.name.clone(), format!("{} {reason}.", field.display_name));
        } else if field.secret {
            entered.secrets.insert(&field.name, Secret::from(value));
        } else {
            entered.fields.insert(field.name.clone(), value.to_owned());
        }
    }
    if wrong.is_empty() { Ok(entered) } else { Err(wrong) }
}

impl App {
    /// Takes an entered credential. Nothing is written before the provider has confirmed it: a
    /// mistyped key leaves the link as it was, for another try.
    pub(super) async fn enter_secrets(
        self: &Arc<Self>,
        actor: Actor,
        offer: Box<Offer>,
        form: &BTreeMap<String, String>,
    ) -> Result<Started> {
        let entered = match offer.read(form) {
            Ok(entered) => entered.into_credential(offer.scheme, &offer.toolkit),
            Err(wrong) => return Ok(Started::Form { offer, wrong, message: None }),
        };
        self.count_link_submission(&offer.link.id)?;
        let app = Arc::clone(self);
        // A second click cancels the browser's first request; what that began is finished anyway.
        let task = self.tasks.spawn(async move {
            let params = AccountParams { fields: entered.fields, ..AccountParams::default() };
            if let Some(message) = app.disproof(&offer, &entered.secrets, &params).await {
                return Ok(Started::Form { offer, wrong: BTreeMap::new(), message: Some(message) });
            }
            let finished = match offer.verifier_url {
                Some(_) => app.park_entered(&actor, &offer, &entered.secrets, &params).await,
                None => app.activate_entered(&actor, &offer, &entered.secrets, &params).await,
            };
            finished.map(Started::Over)
        });
        task.await.map_err(Error::internal)?
    }

    /// Why the credential is not accepted, in words for the visitor; none when it is, or when the
    /// toolkit has no way to tell.
    async fn disproof(&self, offer: &Offer, secrets: &Secrets, params: &AccountParams) -> Option<String> {
        let probe = verification(offer)?;
        let name = &offer.toolkit.name;
        match self.verify(&offer.toolkit, offer.scheme, probe, secrets, &params.fields).await {
            Ok(Verification::Accepted) => None,
            Ok(Verification::Refused) => {
                Some(format!("{name} does not accept this. Check that it was copied completely and is still valid."))
            }
            Ok(Verification::Unclear) => {
                Some(format!("{name} could not confirm this right now. Try again in a minute."))
            }
            Err(error) => {
                tracing::warn!(toolkit = %offer.toolkit.slug, error = error.message(), "verification failed");
                Some(format!("{name} could not be reached to confirm this. Try again in a minute."))
            }
        }
    }

    /// Makes the account work with what was entered.
    pub(super) async fn activate_entered(
        &self,
        actor: &Actor,
        offer: &Offer,
        secrets: &Secrets,
        params: &AccountParams,
    ) -> Result<Finished> {
        let now = self.now();
        let activation = Activation {
            credential: Some(self.seal_credential(&actor.project_id, &offer.account.id, secrets)),
            params: params.to_text(),
            expires_at: None,
            now,
        };
        let unit = links::end(&offer.link.id, "success", now).with(offer.activation(activation)).with(self.audit(
            actor,
            "connected_account.connect",
            &offer.account.id,
            "ok",
            None,
        ));
        match self.store.apply(unit).await {
            Ok(_) => Ok(Finished::of(Ending::Success, &offer.link, &offer.account.toolkit)),
            Err(WriteError::Refused(_)) if self.holds(offer, secrets).await? => {
                Ok(Finished::of(Ending::Success, &offer.link, &offer.account.toolkit))
            }
            Err(WriteError::Refused(_)) => Ok(Finished::of(Ending::Used, &offer.link, &offer.account.toolkit)),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the account is connected with exactly this credential: the form was sent twice.
    async fn holds(&self, offer: &Offer, secrets: &Secrets) -> Result<bool> {
        let account = self.store.account(&offer.account.project_id, &offer.account.id).await?;
        let Some(account) = account.filter(|account| account.status == AccountStatus::Active) else {
            return Ok(false);
        };
        Ok(self.open_credential(&account)? == *secrets)
    }
}

fn verification(offer: &Offer) -> Option<&Probe> {
    let toolkit = &offer.toolkit;
    match offer.scheme {
        Scheme::ApiKey => toolkit.api_key.as_ref()?.verify.as_ref(),
        Scheme::BearerToken => match &toolkit.bearer_token {
            Some(bearer) => bearer.verify.as_ref(),
            None => toolkit.identity.as_ref().map(|identity| &identity.request),
        },
        Scheme::Basic => toolkit.basic.as_ref()?.verify.as_ref(),
        Scheme::OAuth2 | Scheme::NoAuth => None,
    }
}

impl Entered {
    /// The values as the account stores them: a user name is part of the credential, and an imported
    /// token stands where the toolkit's own tokens do.
    pub fn into_credential(mut self, scheme: Scheme, toolkit: &Toolkit) -> Self {
        if scheme == Scheme::Basic
            && let Some(username) = self.fields.remove("username")
        {
            self.secrets.insert("username", Secret::new(username));
        }
        if scheme == Scheme::BearerToken
            && toolkit.bearer_token.is_none()
            && let Some(token) = self.secrets.remove("token")
        {
            self.secrets.insert("access_token", token);
        }
        self
    }
}
