//! `/link/{token}`: the consent page and its forms.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use switchboard_vault::Secrets;

use super::endings::{ToolkitContext, ending_page, ending_page_with, error_page, finish, see_other};
use super::policy::{add_form_headers, cookie, form_targets, is_own_form, set_cookie};
use super::render::{BRAND, page, short};
use super::scheme_choice::scheme_choice_page;
use crate::api::http::body::read;
use crate::api::http::edge::RequestId;
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::connect::{Ending, Finished, Offer, SchemeChosen, Started, Visit, attempt_cookie_name};
use crate::error::Result;
use switchboard_types::AccountParams;

/// Maximum size of a form.
const MAX_FORM: usize = 64 * 1_024;
/// Query parameter of a link whose user wants to choose another scheme.
const OTHER_SCHEME: &str = "choose";

#[derive(Serialize)]
struct Context<'a> {
    brand: &'a str,
    project_name: Option<String>,
    toolkit: Option<ToolkitContext>,
    user_hint: String,
    scopes: Vec<ScopeContext>,
    action: String,
    reject_action: String,
    fields: Vec<FieldContext<'a>>,
    submit_label: String,
    leaves_site: bool,
    form_error: Option<&'a str>,
    expires_minutes: u64,
    guide_url: Option<&'a str>,
    /// Where another scheme can be chosen.
    other_scheme_url: Option<String>,
}

#[derive(Serialize)]
struct ScopeContext {
    name: String,
}

#[derive(Serialize)]
struct FieldContext<'a> {
    name: String,
    label: String,
    description: String,
    #[serde(rename = "type")]
    kind: &'static str,
    required: bool,
    value: Option<String>,
    example: Option<String>,
    error: Option<&'a str>,
}

/// What the page shows again after a submission.
#[derive(Default)]
struct FormState {
    wrong: BTreeMap<String, String>,
    message: Option<String>,
    entered: Secrets,
}

/// `GET /link/{token}`. Reads only.
pub async fn show(
    State(app): State<Arc<App>>,
    id: RequestId,
    Id(token): Id,
    query: Query,
    headers: HeaderMap,
) -> Response {
    if let Some(url) = own_loopback_url(&app, &headers, &token) {
        return see_other(&url);
    }
    match app.connector.visit(&token, |name| cookie(&headers, name)).await {
        Ok(Visit::Open(offer))
            if offer.must_choose_scheme() || offer.may_choose_scheme() && query.text(OTHER_SCHEME).is_some() =>
        {
            match app.auth_configs.methods(&offer.link.project_id, &offer.toolkit).await {
                Ok(ways) => scheme_choice_page(&app, &token, &offer, &ways, StatusCode::OK),
                Err(error) => error_page(&app, &error, &id.0),
            }
        }
        Ok(Visit::Open(offer)) => connect_page(&app, &token, &offer, StatusCode::OK, &FormState::default()),
        Ok(Visit::Ended(finished)) if finished.ending == Ending::Connected => finish(&app, finished, None, &id.0).await,
        Ok(Visit::Ended(finished)) => ended_page(&app, &finished, &id),
        Err(error) => error_page(&app, &error, &id.0),
    }
}

/// `POST /link/{token}`: the visitor submitted the form.
pub async fn submit(
    State(app): State<Arc<App>>,
    id: RequestId,
    Id(token): Id,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !is_own_form(&headers, &app.core.settings.public_url) {
        return ending_page(&app, Ending::CrossSite, Some(&id.0));
    }
    match Box::pin(try_submit(&app, &id, &token, &headers, body)).await {
        Ok(response) => response,
        Err(error) => error_page(&app, &error, &id.0),
    }
}

/// `POST /link/{token}/reject`: "This wasn't me".
pub async fn reject(State(app): State<Arc<App>>, id: RequestId, Id(token): Id, headers: HeaderMap) -> Response {
    if !is_own_form(&headers, &app.core.settings.public_url) {
        return ending_page(&app, Ending::CrossSite, Some(&id.0));
    }
    match app.connector.reject(&token, |name| cookie(&headers, name), &id.0).await {
        Ok(finished) => ended_page(&app, &finished, &id),
        Err(error) => error_page(&app, &error, &id.0),
    }
}

async fn try_submit(app: &Arc<App>, id: &RequestId, token: &str, headers: &HeaderMap, body: Body) -> Result<Response> {
    // Checked before the body is read: an unknown visitor's form is not worth the effort.
    let offer = match app.connector.visit(token, |name| cookie(headers, name)).await? {
        Visit::Open(offer) => offer,
        Visit::Ended(finished) if finished.ending == Ending::Connected => {
            return Ok(finish(app, finished, None, &id.0).await);
        }
        Visit::Ended(finished) => return Ok(ended_page(app, &finished, id)),
    };
    let bytes = read(body, MAX_FORM).await?;
    // Any field may contain a key or a password.
    let form: Secrets =
        form_urlencoded::parse(&bytes).map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    // The scheme is chosen before anything is entered.
    let way = form.get("auth_scheme").filter(|_| offer.may_choose_scheme());
    if way.is_some() || offer.must_choose_scheme() {
        return match app.connector.choose_scheme(offer, way.unwrap_or_default(), &id.0).await? {
            SchemeChosen::Chosen => Ok(see_other(&format!("/link/{token}"))),
            SchemeChosen::NotAnOption(offer, ways) => {
                Ok(scheme_choice_page(app, token, &offer, &ways, StatusCode::UNPROCESSABLE_ENTITY))
            }
        };
    }
    match app.connector.start(offer, &form, &id.0).await? {
        Started::Provider { url, attempt_id, cookie: browser, lifetime } => {
            let mut response = see_other(url.as_str());
            let name = attempt_cookie_name(&app.core, &attempt_id);
            if let Some(value) = set_cookie(&name, &browser, lifetime, app.core.settings.is_https()) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
            Ok(response)
        }
        Started::Form { offer, wrong, message } => {
            let shown = FormState { wrong, message, entered: form };
            Ok(connect_page(app, token, &offer, StatusCode::UNPROCESSABLE_ENTITY, &shown))
        }
        Started::Ended(finished) => Ok(finish(app, finished, None, &id.0).await),
    }
}

/// The same page under the host of its callback: a cookie for `localhost` is not sent to `127.0.0.1`.
/// Other hosts may belong to a proxy and are not redirected.
fn own_loopback_url(app: &App, headers: &HeaderMap, token: &str) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let (_, own) = app.core.settings.public_url.split_once("://")?;
    let is_loopback = |authority: &str| {
        ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .any(|name| authority.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
    };
    let is_other = !host.eq_ignore_ascii_case(own) && is_loopback(host) && is_loopback(own);
    is_other.then(|| format!("{}/link/{token}", app.core.settings.public_url))
}

pub(super) fn ended_page(app: &App, finished: &Finished, id: &RequestId) -> Response {
    let mut response = ending_page_with(app, finished, None, Some(&id.0));
    if finished.ending == Ending::Invalid {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

fn connect_page(app: &App, token: &str, offer: &Offer, status: StatusCode, shown: &FormState) -> Response {
    let leaves_site = offer.scheme.is_redirect();
    let name = short(&offer.toolkit.name);
    let fields = offer.form_fields().into_iter().map(|field| {
        let entered = shown.entered.get(&field.name).or_else(|| offer.known.get(&field.name));
        let value = entered.or(field.default.as_deref()).filter(|_| !field.secret);
        FieldContext {
            error: shown.wrong.get(&field.name).map(String::as_str),
            kind: if field.secret { "password" } else { "text" },
            value: value.map(|value| value.chars().take(4_096).collect()),
            required: field.required && field.default.is_none(),
            label: field.display_name,
            description: field.description,
            example: field.example,
            name: field.name,
        }
    });
    let context = Context {
        brand: BRAND,
        project_name: Some(short(&offer.project_name)).filter(|name| !name.is_empty()),
        toolkit: ToolkitContext::of(app, &offer.toolkit.slug),
        user_hint: short(&offer.account.user_id),
        scopes: offer
            .asked
            .scopes
            .iter()
            .chain(&offer.asked.user_scopes)
            .filter(|_| leaves_site)
            .map(|name| ScopeContext { name: short(name) })
            .collect(),
        action: format!("/link/{token}"),
        reject_action: format!("/link/{token}/reject"),
        fields: fields.collect(),
        submit_label: if leaves_site { format!("Continue to {name}") } else { "Connect".to_owned() },
        leaves_site,
        form_error: shown.message.as_deref(),
        expires_minutes: offer.link.expires_at.since(app.core.now()).as_secs() / 60,
        guide_url: offer.toolkit.auth_guide_url.as_deref().filter(|url| !leaves_site && url.starts_with("https://")),
        other_scheme_url: offer.may_choose_scheme().then(|| format!("/link/{token}?{OTHER_SCHEME}=1")),
    };
    let mut response = page(status, "connect.html", &context);
    let provider = offer
        .toolkit
        .oauth(offer.scheme)
        .filter(|oauth| !oauth.authorization_url.is_empty())
        .and_then(|oauth| app.providers.expand(&oauth.authorization_url, &AccountParams::default()).ok());
    let provider = provider.as_deref().or(leaves_site.then_some("https:"));
    // The target of the last redirect after the form.
    let end = offer.verifier_url.as_deref().or(offer.link.callback_url.as_deref());
    let targets = form_targets(provider, end);
    add_form_headers(response.headers_mut(), &targets);
    response
}
