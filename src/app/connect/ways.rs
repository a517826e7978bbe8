//! A link whose user says how to connect: with which of the toolkit's schemes. The account takes the auth
//! config of that scheme before anything is entered; from then on the link is like any other.

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{self, AccountStatus};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::{self, LinkChoice};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::Secrets;

use super::{Offer, Visit};
use crate::app::audit::Facts;
use crate::app::{Actor, App};
use crate::error::{Class, Error, Result};

/// How often another request may be faster.
const MAX_TRIES: u32 = 3;

/// One way to connect: a scheme, and its auth config where there is one already.
#[derive(Clone, Debug)]
pub struct Way {
    /// How it authenticates.
    pub scheme: Scheme,
    config: Option<AuthConfigRow>,
}

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

impl App {
    /// All ways in which a user of a project can connect a toolkit now, in the toolkit's order.
    pub async fn ways(&self, project: &str, toolkit: &Toolkit) -> Result<Vec<Way>> {
        let candidates = self.usable_configs(project, toolkit).await?;
        let mut ways = Vec::new();
        for scheme in toolkit.schemes() {
            let config = candidates.as_ref().and_then(|it| it.newest_of(scheme)).cloned();
            let can = match &config {
                Some(config) => as_answer(self.check_offered(toolkit, config, &Secrets::new()).await)?,
                None => self.can_make_now(project, toolkit, scheme).await?,
            };
            if can {
                ways.push(Way { scheme, config });
            }
        }
        Ok(ways)
    }

    /// Whether an auth config of a scheme can be made for a link of this moment.
    async fn can_make_now(&self, project: &str, toolkit: &Toolkit, scheme: Scheme) -> Result<bool> {
        if !self.can_make(project, toolkit, scheme) {
            return Ok(false);
        }
        // One that somebody switched off is not made anew.
        if self.store.managed_auth_config(project, &toolkit.slug, Some(scheme.as_str())).await?.is_some() {
            return Ok(false);
        }
        if toolkit.uses_device_code(scheme) {
            return as_answer(self.check_unconfirmed(project).await);
        }
        Ok(true)
    }

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
            let ways = self.ways(&offer.link.project_id, &offer.toolkit).await?;
            let Some(way) = ways.iter().find(|way| way.scheme.as_str() == scheme) else {
                return Ok(WayChosen::Nothing(offer, ways));
            };
            match self.take_way(&offer, way, request_id).await {
                Ok(()) => return Ok(WayChosen::Now),
                // Another request made the auth config, or began, or the auth config is gone: look again.
                Err(WriteError::Refused(_)) => {
                    let place = (offer.link.project_id.clone(), offer.toolkit.slug.clone());
                    self.recent_auth_configs.forget(&place);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(WayChosen::Now)
    }

    /// Account and link take the chosen auth config, which is made where there is none.
    async fn take_way(&self, offer: &Offer, way: &Way, request_id: &str) -> std::result::Result<(), WriteError> {
        let now = self.now();
        let actor = Actor {
            project_id: offer.link.project_id.clone(),
            name: format!("link:{}", offer.link.id),
            request_id: Some(request_id.to_owned()),
            caller_request_id: None,
        };
        let mut unit = Unit::new();
        let config = match &way.config {
            Some(config) => config.clone(),
            None => self.new_managed(&actor, &offer.toolkit, way.scheme, true, &mut unit),
        };
        let facts = Facts { auth_config_id: Some(config.id.clone()), ..Facts::of_link(&offer.link.id) };
        let account = &offer.account.id;
        let unit = unit
            .with(links::chosen(&offer.link.id, now))
            .with(accounts::take_auth_config(&actor.project_id, account, &config.id, &config.scheme, now))
            .with(self.audit(&actor, "link.choose_scheme", account, "ok", Some(&facts.to_value())));
        self.store.apply(unit).await?;
        self.recent_auth_configs.forget(&(actor.project_id, offer.toolkit.slug.clone()));
        Ok(())
    }
}

/// Whether something may be; what failed stays an error.
fn as_answer(checked: Result<()>) -> Result<bool> {
    match checked {
        Ok(()) => Ok(true),
        Err(error) if is_of_the_request(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_of_the_request(error: &Error) -> bool {
    matches!(error.code().class(), Class::BadRequest | Class::Unprocessable)
}
