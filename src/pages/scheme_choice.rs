//! The page on which the user of a link chooses the scheme, before the form or the redirect to the
//! provider.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use switchboard_catalog::Scheme;

use super::endings::ToolkitContext;
use super::policy::{add_form_headers, form_targets};
use super::render::{BRAND, page, short};
use crate::app::App;
use crate::app::auth_config::methods::ConnectMethod;
use crate::app::connect::Offer;

#[derive(Serialize)]
struct Context {
    brand: &'static str,
    project_name: Option<String>,
    toolkit: Option<ToolkitContext>,
    user_hint: String,
    action: String,
    options: Vec<OptionContext>,
    is_unanswered: bool,
}

#[derive(Serialize)]
struct OptionContext {
    id: &'static str,
    label: String,
    detail: &'static str,
}

/// The choice; `status` is 422 if the submitted value was none of the options.
pub(super) fn scheme_choice_page(
    app: &App,
    token: &str,
    offer: &Offer,
    ways: &[ConnectMethod],
    status: StatusCode,
) -> Response {
    let name = short(&offer.toolkit.name);
    let context = Context {
        brand: BRAND,
        project_name: Some(short(&offer.project_name)).filter(|name| !name.is_empty()),
        toolkit: ToolkitContext::of(app, &offer.toolkit.slug),
        user_hint: short(&offer.account.user_id),
        action: format!("/link/{token}"),
        options: ways.iter().map(|way| option(way.scheme, &name)).collect(),
        is_unanswered: status != StatusCode::OK,
    };
    let mut response = page(status, "scheme_choice.html", &context);
    add_form_headers(response.headers_mut(), &form_targets(None, None));
    response
}

/// A scheme in words for users.
fn option(scheme: Scheme, toolkit: &str) -> OptionContext {
    let (label, detail) = match scheme {
        Scheme::OAuth2 | Scheme::DcrOAuth | Scheme::CimdOAuth | Scheme::OAuth1 => {
            (format!("Sign in at {toolkit}"), "You sign in there and come back.")
        }
        Scheme::ApiKey => ("Enter an API key".to_owned(), "You copy it from your account's settings."),
        Scheme::BearerToken => ("Enter an access token".to_owned(), "You create it in your account's settings."),
        Scheme::Basic | Scheme::BasicWithJwt | Scheme::BillcomAuth => {
            ("Enter user name and password".to_owned(), "Or what the page asks for instead.")
        }
        Scheme::S2sOAuth2 => {
            ("Enter an app's credentials".to_owned(), "For administrators: an app of your organisation.")
        }
        Scheme::GoogleServiceAccount | Scheme::ServiceAccount => {
            ("Use a service account".to_owned(), "For administrators: its key file or details.")
        }
        Scheme::Saml => ("Use a SAML assertion".to_owned(), "For administrators."),
        Scheme::NoAuth => ("Connect without signing in".to_owned(), "Public data only."),
    };
    OptionContext { id: scheme.as_str(), label, detail }
}
