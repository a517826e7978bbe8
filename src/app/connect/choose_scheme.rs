//! A link whose user selects the scheme to connect with. The account takes the auth config of that
//! scheme before anything is entered; from then on it is a normal link.

use std::sync::Arc;

use switchboard_store::accounts::{self, AccountStatus};
use switchboard_store::links::{self, LinkChoice};
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AuditAction, AuditOutcome, format_compact};

use super::{Offer, Visit};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::auth_config::methods::ConnectMethod;
use crate::app::connect::Connector;
use crate::error::Result;

/// Restarts after a conflict with another request.
const MAX_TRIES: u32 = 3;

/// The result of a user's choice of scheme.
#[derive(Debug)]
pub enum SchemeChosen {
    /// The scheme is set, or the link has moved on: read it again.
    Chosen,
    /// None of the options.
    NotAnOption(Box<Offer>, Vec<ConnectMethod>),
}

impl Offer {
    /// The user still has to choose a scheme.
    pub fn must_choose_scheme(&self) -> bool {
        self.may_choose_scheme() && self.link.choice == LinkChoice::Open
    }

    /// The user may choose a scheme, or change the choice: no attempt has started.
    pub fn may_choose_scheme(&self) -> bool {
        self.link.choice != LinkChoice::None && self.account.status == AccountStatus::Initializing
    }
}

impl Connector {
    /// Sets the scheme that the user of an open link chose.
    pub async fn choose_scheme(&self, mut offer: Box<Offer>, scheme: &str, request_id: &str) -> Result<SchemeChosen> {
        for _ in 0..MAX_TRIES {
            if !offer.may_choose_scheme() {
                return Ok(SchemeChosen::Chosen);
            }
            let ways = self.auth_configs.methods(&offer.link.project_id, &offer.toolkit).await?;
            let Some(way) = ways.iter().find(|way| way.scheme.as_str() == scheme) else {
                return Ok(SchemeChosen::NotAnOption(offer, ways));
            };
            match self.apply_scheme(&offer, way, request_id).await {
                Ok(()) => return Ok(SchemeChosen::Chosen),
                // Another request created the auth config or started an attempt, or the auth config is
                // gone: read again.
                Err(WriteError::Refused(_)) => {
                    let place = (offer.link.project_id.clone(), offer.toolkit.slug.clone());
                    self.auth_configs.forget(&place.0, &place.1);
                    let link = self.core.store.link(&offer.link.id).await?;
                    let Some(link) = link else { return Ok(SchemeChosen::Chosen) };
                    match self.visit_link(link, None).await? {
                        Visit::Open(current) => offer = current,
                        Visit::Ended(_) => return Ok(SchemeChosen::Chosen),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(SchemeChosen::Chosen)
    }

    /// Sets the chosen auth config on account and link; creates it if there is none.
    async fn apply_scheme(
        &self,
        offer: &Offer,
        way: &ConnectMethod,
        request_id: &str,
    ) -> std::result::Result<(), WriteError> {
        let now = self.core.now();
        let actor = Actor {
            project_id: offer.link.project_id.clone(),
            name: format_compact!("link:{}", offer.link.id),
            request_id: Some(request_id.into()),
            caller_request_id: None,
        };
        let mut unit = Unit::new();
        let config = match &way.config {
            Some(config) => config.clone(),
            None => Arc::new(self.auth_configs.insert_managed(&actor, &offer.toolkit, way.scheme, true, &mut unit)),
        };
        let facts = Facts { auth_config_id: Some(config.id.clone()), ..Facts::of_link(&offer.link.id) };
        let account = &offer.account.id;
        let unit = unit
            .and(accounts::set_auth_config(&actor.project_id, account, &config.id, config.scheme, now))
            .with(links::record_choice(&offer.link.id, now))
            .with(self.core.audit(
                &actor,
                AuditAction::LinkChooseScheme,
                account,
                AuditOutcome::Ok,
                Some(facts.to_text()),
            ));
        self.core.store.apply(unit).await?;
        self.auth_configs.forget(&actor.project_id, &offer.toolkit.slug);
        Ok(())
    }
}
