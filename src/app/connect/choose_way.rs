//! A link whose user says how to connect: with which of the toolkit's schemes. The account takes the auth
//! config of that scheme before anything is entered; from then on the link is like any other.

use switchboard_store::accounts::{self, AccountStatus};
use switchboard_store::links::{self, LinkChoice};
use switchboard_store::{Unit, WriteError};

use super::{Offer, Visit};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::auth_config::ways::Way;
use crate::app::connect::Connector;
use crate::error::Result;

/// How often another request may be faster.
const MAX_TRIES: u32 = 3;

/// What became of a user's choice.
#[derive(Debug)]
pub enum WayChosen {
    /// The link goes on with it, or has gone on otherwise: look again.
    Now,
    /// It is none of these.
    Nothing(Box<Offer>, Vec<Way>),
}

impl Offer {
    /// The user has still to say how to connect.
    pub fn asks_how(&self) -> bool {
        self.may_choose() && self.link.choice == LinkChoice::Open
    }

    /// The user may say how to connect, also once more: nothing has begun.
    pub fn may_choose(&self) -> bool {
        self.link.choice != LinkChoice::None && self.account.status == AccountStatus::Initializing
    }
}

impl Connector {
    /// The user of a link says how to connect. `cookie` gives the value of a cookie by name.
    pub async fn choose_way(
        &self,
        token: &str,
        scheme: &str,
        cookie: impl Fn(&str) -> Option<String>,
        request_id: &str,
    ) -> Result<WayChosen> {
        for _ in 0..MAX_TRIES {
            let Visit::Open(offer) = self.visit(token, &cookie).await? else { return Ok(WayChosen::Now) };
            if !offer.may_choose() {
                return Ok(WayChosen::Now);
            }
            let ways = self.auth_configs.ways(&offer.link.project_id, &offer.toolkit).await?;
            let Some(way) = ways.iter().find(|way| way.scheme.as_str() == scheme) else {
                return Ok(WayChosen::Nothing(offer, ways));
            };
            match self.take_way(&offer, way, request_id).await {
                Ok(()) => return Ok(WayChosen::Now),
                // Another request made the auth config, or began, or the auth config is gone: look again.
                Err(WriteError::Refused(_)) => {
                    let place = (offer.link.project_id.clone(), offer.toolkit.slug.clone());
                    self.auth_configs.forget(&place.0, &place.1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(WayChosen::Now)
    }

    /// Account and link take the chosen auth config, which is made where there is none.
    async fn take_way(&self, offer: &Offer, way: &Way, request_id: &str) -> std::result::Result<(), WriteError> {
        let now = self.core.now();
        let actor = Actor {
            project_id: offer.link.project_id.clone(),
            name: format!("link:{}", offer.link.id),
            request_id: Some(request_id.to_owned()),
            caller_request_id: None,
        };
        let mut unit = Unit::new();
        let config = match &way.config {
            Some(config) => config.clone(),
            None => self.auth_configs.new_managed(&actor, &offer.toolkit, way.scheme, true, &mut unit),
        };
        let facts = Facts { auth_config_id: Some(config.id.clone()), ..Facts::of_link(&offer.link.id) };
        let account = &offer.account.id;
        let unit = unit
            .with(links::record_choice(&offer.link.id, now))
            .with(accounts::set_auth_config(&actor.project_id, account, &config.id, &config.scheme, now))
            .with(self.core.audit(&actor, "link.choose_scheme", account, "ok", Some(&facts.to_value())));
        self.core.store.apply(unit).await?;
        self.auth_configs.forget(&actor.project_id, &offer.toolkit.slug);
        Ok(())
    }
}
