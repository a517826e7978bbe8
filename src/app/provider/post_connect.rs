//! Requests after connecting: which site, tenant or data centre the account uses. If there are several, the
//! user chooses one. The values found are stored with the account.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_catalog::{Choice, PostConnect, Scheme, Toolkit};
use switchboard_vault::Secrets;

use super::identity::text;
use super::request::Verification;
use crate::app::provider::Providers;
use crate::error::{Code, Error, Result};
use switchboard_types::AccountParams;

/// Maximum number of options that a user can choose from.
pub const MAX_OPTIONS: usize = 1_000;

const NO_OPTIONS: &str = "says that the account reaches nothing that could be used";

/// The user's choices so far: the id of the chosen option by the title of its step. The toolkit file may be
/// reloaded with other steps meanwhile.
pub type Selections = BTreeMap<String, String>;

/// An option that the user can choose.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ConnectOption {
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
pub enum PostConnectOutcome {
    /// All values are known and stored in the parameters.
    Complete,
    /// The user must choose an option.
    Choose {
        /// The title of the choice.
        title: String,
        /// The options.
        options: Vec<ConnectOption>,
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
        chosen: &Selections,
    ) -> Result<PostConnectOutcome> {
        for (_, step) in toolkit.post_connect_of(scheme) {
            let (Verification::Accepted, answer) = self.probe(toolkit, scheme, &step.request, secrets, params).await?
            else {
                return Err(post_connect_error(toolkit, "did not answer which data the account reaches"));
            };
            let Some((items, choose)) = step.items.as_deref().zip(step.choose.as_ref()) else {
                capture_values(step, &answer, params).map_err(|reason| post_connect_error(toolkit, &reason))?;
                continue;
            };
            let candidates: Vec<&Value> = match answer.pointer(items) {
                Some(Value::Array(candidates)) => candidates.iter().filter(|item| passes_filters(step, item)).collect(),
                _ => Vec::new(),
            };
            let item = match (candidates.as_slice(), chosen.get(&choose.title)) {
                ([], _) => return Err(post_connect_error(toolkit, NO_OPTIONS)),
                ([only], None) => only,
                (many, None) if are_all_same(choose, many) => many.first().copied().unwrap_or(&Value::Null),
                (many, None) => {
                    // An option that is listed twice counts once.
                    let mut seen = BTreeSet::new();
                    let candidates = many.iter().filter_map(|item| option(choose, item));
                    let options: Vec<ConnectOption> =
                        candidates.filter(|item| seen.insert(item.id.clone())).take(MAX_OPTIONS).collect();
                    if options.is_empty() {
                        return Err(post_connect_error(toolkit, NO_OPTIONS));
                    }
                    return Ok(PostConnectOutcome::Choose { title: choose.title.clone(), options });
                }
                (many, Some(id)) => {
                    many.iter().find(|item| option(choose, item).is_some_and(|option| option.id == *id)).ok_or_else(
                        || post_connect_error(toolkit, "says that the account no longer reaches what was chosen"),
                    )?
                }
            };
            capture_values(step, item, params).map_err(|reason| post_connect_error(toolkit, &reason))?;
        }
        Ok(PostConnectOutcome::Complete)
    }
}

/// Whether all items have the same id.
fn are_all_same(choose: &Choice, candidates: &[&Value]) -> bool {
    let ids: BTreeSet<Option<String>> = candidates.iter().map(|item| item.pointer(&choose.id).and_then(text)).collect();
    ids.len() == 1 && !ids.contains(&None)
}

/// Whether an item passes the step's filters.
fn passes_filters(step: &PostConnect, item: &Value) -> bool {
    step.filter.iter().all(|filter| match item.pointer(&filter.at) {
        Some(Value::Array(values)) => values.iter().filter_map(text).any(|value| filter.admits(&value)),
        Some(value) => text(value).is_some_and(|value| filter.admits(&value)),
        None => false,
    })
}

fn option(choose: &Choice, item: &Value) -> Option<ConnectOption> {
    let id = text(item.pointer(&choose.id)?)?;
    let label = item.pointer(&choose.label).and_then(text).unwrap_or_else(|| id.clone());
    let detail = choose.detail.as_ref().and_then(|pointer| item.pointer(pointer)).and_then(text);
    Some(ConnectOption { id, label, detail })
}

/// Captures the values of a step.
fn capture_values(step: &PostConnect, item: &Value, params: &mut AccountParams) -> std::result::Result<(), String> {
    for capture in &step.capture {
        let found = item.pointer(&capture.at).and_then(text);
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

fn post_connect_error(toolkit: &Toolkit, reason: &str) -> Error {
    Error::new(Code::UpstreamUnreachable, format!("{} {reason}", toolkit.name))
}
