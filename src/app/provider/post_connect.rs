//! Requests after connecting: which site, tenant or data centre the account uses. If there are several, the
//! user chooses one. The values found are stored with the account.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_catalog::{Choice, PostConnect, Scheme, Toolkit};
use switchboard_vault::Secrets;

use super::identity::text;
use super::request::Verification;
use crate::app::model::params::AccountParams;
use crate::app::provider::Providers;
use crate::error::{Code, Error, Result};

/// Maximum number of options that a user can choose from.
pub const MOST_THINGS: usize = 1_000;

const NOTHING: &str = "says that the account reaches nothing that could be used";

/// The user's choices so far: the id of the chosen option by the title of its step. The toolkit file may be
/// reloaded with other steps meanwhile.
pub type Chosen = BTreeMap<String, String>;

/// An option that the user can choose.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Thing {
    /// Identifier.
    pub id: String,
    /// Display name.
    pub label: String,
    /// Second line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The outcome of the steps.
#[derive(Debug)]
pub enum Found {
    /// All values are known and stored in the parameters.
    Settled,
    /// The user must choose an option.
    Choose {
        /// The title of the choice.
        title: String,
        /// The options.
        options: Vec<Thing>,
    },
}

impl Providers {
    /// Sends the toolkit's requests and stores the values found in `params`. Every run repeats all requests:
    /// they have no side effects, and earlier responses may be outdated.
    ///
    /// # Errors
    /// The provider does not respond, or there is no option.
    pub async fn post_connect(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        secrets: &Secrets,
        params: &mut AccountParams,
        chosen: &Chosen,
    ) -> Result<Found> {
        for (_, step) in toolkit.post_connect_of(scheme) {
            let (Verification::Accepted, answer) = self.probe(toolkit, scheme, &step.request, secrets, params).await?
            else {
                return Err(unanswered(toolkit, "did not answer which data the account reaches"));
            };
            let Some((items, choose)) = step.items.as_deref().zip(step.choose.as_ref()) else {
                keep(step, &answer, params).map_err(|why| unanswered(toolkit, &why))?;
                continue;
            };
            let things: Vec<&Value> = match answer.pointer(items) {
                Some(Value::Array(things)) => things.iter().filter(|thing| is_meant(step, thing)).collect(),
                _ => Vec::new(),
            };
            let thing = match (things.as_slice(), chosen.get(&choose.title)) {
                ([], _) => return Err(unanswered(toolkit, NOTHING)),
                ([only], None) => only,
                (many, None) if is_one(choose, many) => many.first().copied().unwrap_or(&Value::Null),
                (many, None) => {
                    // An option that is listed twice counts once.
                    let mut seen = BTreeSet::new();
                    let things = many.iter().filter_map(|it| option(choose, it));
                    let options: Vec<Thing> =
                        things.filter(|thing| seen.insert(thing.id.clone())).take(MOST_THINGS).collect();
                    if options.is_empty() {
                        return Err(unanswered(toolkit, NOTHING));
                    }
                    return Ok(Found::Choose { title: choose.title.clone(), options });
                }
                (many, Some(id)) => many
                    .iter()
                    .find(|it| option(choose, it).is_some_and(|option| option.id == *id))
                    .ok_or_else(|| unanswered(toolkit, "says that the account no longer reaches what was chosen"))?,
            };
            keep(step, thing, params).map_err(|why| unanswered(toolkit, &why))?;
        }
        Ok(Found::Settled)
    }
}

/// Whether all items have the same id.
fn is_one(choose: &Choice, things: &[&Value]) -> bool {
    let ids: BTreeSet<Option<String>> = things.iter().map(|it| it.pointer(&choose.id).and_then(text)).collect();
    ids.len() == 1 && !ids.contains(&None)
}

/// Whether an item passes the step's filters.
fn is_meant(step: &PostConnect, thing: &Value) -> bool {
    step.filter.iter().all(|filter| match thing.pointer(&filter.at) {
        Some(Value::Array(values)) => values.iter().filter_map(text).any(|value| filter.admits(&value)),
        Some(value) => text(value).is_some_and(|value| filter.admits(&value)),
        None => false,
    })
}

fn option(choose: &Choice, thing: &Value) -> Option<Thing> {
    let id = text(thing.pointer(&choose.id)?)?;
    let label = thing.pointer(&choose.label).and_then(text).unwrap_or_else(|| id.clone());
    let detail = choose.detail.as_ref().and_then(|pointer| thing.pointer(pointer)).and_then(text);
    Some(Thing { id, label, detail })
}

/// Captures the values of a step.
fn keep(step: &PostConnect, thing: &Value, params: &mut AccountParams) -> std::result::Result<(), String> {
    for capture in &step.capture {
        let found = thing.pointer(&capture.at).and_then(text);
        match found.filter(|value| capture.check(value).is_ok()) {
            Some(value) => {
                params.captured.insert(capture.name.clone(), value);
            }
            None if capture.required => return Err(format!("did not say a usable {}", capture.name)),
            None => {}
        }
    }
    Ok(())
}

fn unanswered(toolkit: &Toolkit, what: &str) -> Error {
    Error::new(Code::UpstreamUnreachable, format!("{} {what}", toolkit.name))
}
