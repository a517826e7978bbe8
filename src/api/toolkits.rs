//! `/toolkits`: list and read (contract sections 6.1 to 6.3).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use switchboard_catalog::{ClientAuthentication, Field, Scheme, Toolkit};

use super::auth::Caller;
use super::body::json;
use super::error::ApiError;
use super::page::PageRequest;
use super::path::Id;
use super::query::Query;
use crate::app::App;
use crate::app::auth_configs::toolkit_not_found;

/// `GET /toolkits` → 200 page.
pub async fn list(State(app): State<Arc<App>>, caller: Caller, query: Query) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, 100, 1_000)?;
    let kind = query.choice("type", &[("native", true), ("custom", false), ("all", true)])?.unwrap_or(true);
    let managed_by = [("composio", Some(true)), ("project", Some(false)), ("all", None)];
    let managed = query.choice("managed_by", &managed_by)?.flatten();
    // Usage is not counted yet; both orders are by name.
    query.choice("sort_by", &[("usage", ()), ("alphabetically", ())])?;
    query.flag("include_deprecated")?;
    let category = query.text("category").map(str::to_ascii_lowercase);
    let search = query.text("search").map(str::to_ascii_lowercase);
    let matches = |toolkit: &&Arc<Toolkit>| {
        let in_category = category.as_ref().is_none_or(|wanted| toolkit.categories.contains(wanted));
        let found = search.as_ref().is_none_or(|wanted| {
            [&toolkit.slug, &toolkit.name, &toolkit.description]
                .iter()
                .any(|text| text.to_ascii_lowercase().contains(wanted))
        });
        let is_managed = || app.managed_scheme(&caller.project_id, toolkit).is_some();
        kind && in_category && found && managed.is_none_or(|wanted| wanted == is_managed())
    };
    let all: Vec<&Arc<Toolkit>> = app.catalog.iter().filter(matches).collect();
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let items = all.iter().skip(offset).take(limit).map(|toolkit| item(&app, &caller.project_id, toolkit)).collect();
    let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
    Ok(json(StatusCode::OK, &page.envelope::<Value>(items, total))?)
}

/// `GET /toolkits/{slug}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(slug): Id) -> Result<Response, ApiError> {
    let toolkit = app.toolkit(&slug).ok_or_else(|| toolkit_not_found(&slug))?;
    Ok(json(StatusCode::OK, &whole(&app, &caller.project_id, toolkit))?)
}

/// Where a toolkit's monogram is served.
pub fn logo_url(app: &App, slug: &str) -> String {
    format!("{}/assets/toolkits/{slug}.svg", app.settings.public_url)
}

/// Fields as the contract writes them (section 6.3).
pub fn input_fields(fields: &[Field]) -> Vec<Value> {
    fields.iter().map(field_view).collect()
}

fn item(app: &App, project: &str, toolkit: &Toolkit) -> Value {
    let schemes: Vec<&str> = toolkit.schemes().iter().map(|scheme| scheme.as_str()).collect();
    let categories: Vec<Value> = toolkit.categories.iter().map(|id| json!({ "id": id, "name": title(id) })).collect();
    let mut meta = meta(app, toolkit);
    meta["categories"] = categories.into();
    json!({
        "slug": toolkit.slug,
        "name": toolkit.name,
        "type": "native",
        "auth_schemes": schemes,
        "composio_managed_auth_schemes": managed_schemes(app, project, toolkit),
        "is_local_toolkit": false,
        "no_auth": schemes == ["NO_AUTH"],
        "deprecated": { "toolkitId": toolkit.slug },
        "meta": meta,
    })
}

fn whole(app: &App, project: &str, toolkit: &Toolkit) -> Value {
    let managed = managed_schemes(app, project, toolkit);
    let available =
        toolkit.oauth2.as_ref().map(|oauth| all_scopes(&oauth.scopes, &oauth.available_scopes)).unwrap_or_default();
    let managed_auth: Vec<Value> =
        managed.iter().map(|mode| json!({ "mode": mode, "scopes": { "available": available } })).collect();
    let details: Vec<Value> = toolkit.schemes().into_iter().map(|scheme| details(toolkit, scheme)).collect();
    let categories: Vec<Value> =
        toolkit.categories.iter().map(|slug| json!({ "name": title(slug), "slug": slug })).collect();
    let mut meta = meta(app, toolkit);
    meta["categories"] = categories.into();
    meta["available_versions"] = json!([toolkit.version]);
    let mut view = json!({
        "slug": toolkit.slug,
        "name": toolkit.name,
        "type": "native",
        "enabled": true,
        "composio_managed_auth_schemes": managed,
        "composio_managed_auth": managed_auth,
        "is_local_toolkit": false,
        "auth_config_details": details,
        "meta": meta,
        "deprecated": { "toolkitId": toolkit.slug, "rawProxyInfoByAuthSchemes": [] },
    });
    if !toolkit.base_url.contains('{') {
        view["base_url"] = toolkit.base_url.as_str().into();
    }
    if let Some(guide) = &toolkit.auth_guide_url {
        view["auth_guide_url"] = guide.as_str().into();
    }
    if let Some(identity) = toolkit.identity.as_ref().filter(|identity| !identity.request.url.contains('{')) {
        view["get_current_user_endpoint"] = identity.request.url.as_str().into();
        view["get_current_user_endpoint_method"] = identity.request.method.as_str().into();
    }
    view
}

fn meta(app: &App, toolkit: &Toolkit) -> Value {
    // `YYYYMMDD_NN`: the day the file was last changed is all that is known of its age.
    let day = format!(
        "{}-{}-{}T00:00:00.000Z",
        part(&toolkit.version, 0, 4),
        part(&toolkit.version, 4, 6),
        part(&toolkit.version, 6, 8)
    );
    let mut meta = json!({
        "created_at": day,
        "updated_at": day,
        "description": toolkit.description,
        "logo": logo_url(app, &toolkit.slug),
        // Tools and triggers are not served yet.
        "triggers_count": 0,
        "tools_count": 0,
        "version": toolkit.version,
    });
    if let Some(url) = &toolkit.app_url {
        meta["app_url"] = url.as_str().into();
    }
    meta
}

fn part(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or("01")
}

fn managed_schemes(app: &App, project: &str, toolkit: &Toolkit) -> Vec<String> {
    app.managed_scheme(project, toolkit).map(|scheme| scheme.as_str().to_owned()).into_iter().collect()
}

fn details(toolkit: &Toolkit, scheme: Scheme) -> Value {
    let (required, optional) = creation_fields(toolkit, scheme);
    let (asked, optional_asked): (Vec<Field>, Vec<Field>) =
        toolkit.scheme_fields(scheme).into_iter().partition(|field| field.required && field.default.is_none());
    let mut view = json!({
        "name": format!("{}_{}", toolkit.slug, scheme.as_str().to_ascii_lowercase()),
        "mode": scheme.as_str(),
        "required_scopes": toolkit.oauth2.as_ref().filter(|_| scheme == Scheme::OAuth2).map(|oauth| oauth.scopes.clone()).unwrap_or_default(),
        "fields": {
            "auth_config_creation": { "required": required, "optional": optional },
            "connected_account_initiation": { "required": input_fields(&asked), "optional": input_fields(&optional_asked) },
        },
    });
    if !toolkit.base_url.contains('{') {
        view["proxy"] = json!({ "base_url": toolkit.base_url });
    }
    let oauth = toolkit.oauth2.as_ref().filter(|_| scheme == Scheme::OAuth2);
    if let Some(oauth) = oauth.filter(|it| !it.authorization_url.contains('{') && !it.token_url.contains('{')) {
        view["deprecated_auth_provider_details"] =
            json!({ "authorization_url": oauth.authorization_url, "token_url": oauth.token_url });
    }
    view
}

/// What a developer gives when creating an auth config of a scheme.
fn creation_fields(toolkit: &Toolkit, scheme: Scheme) -> (Vec<Value>, Vec<Value>) {
    let Some(oauth) = toolkit.oauth2.as_ref().filter(|_| scheme == Scheme::OAuth2) else {
        return (Vec::new(), Vec::new());
    };
    let field = |name: &str, display: &str, description: &str, required: bool, secret: bool| {
        json!({
            "name": name, "displayName": display, "type": "string", "description": description,
            "required": required, "is_secret": secret, "user_visible": true,
        })
    };
    let mut required = vec![field("client_id", "Client id", "Client id of the OAuth app you registered", true, false)];
    if oauth.client_authentication != ClientAuthentication::None {
        required.push(field("client_secret", "Client secret", "Client secret of that app", true, true));
    }
    let optional = vec![
        field("scopes", "Scopes", "Scopes to ask for instead of the toolkit's", false, false),
        field("oauth_redirect_uri", "Redirect URI", "Redirect URI of the app, if not this server's own", false, false),
    ];
    (required, optional)
}

fn field_view(field: &Field) -> Value {
    let mut view = json!({
        "name": field.name,
        "displayName": field.display_name,
        "type": "string",
        "description": field.description,
        "required": field.required,
        "is_secret": field.secret,
        "user_visible": true,
    });
    if let Some(default) = &field.default {
        view["default"] = default.as_str().into();
    }
    view
}

fn all_scopes(default: &[String], further: &[String]) -> Vec<String> {
    let mut scopes = default.to_vec();
    scopes.extend(further.iter().filter(|scope| !default.contains(scope)).cloned());
    scopes
}

/// `developer-tools` → `Developer Tools`.
fn title(slug: &str) -> String {
    let words = slug.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    });
    words.collect::<Vec<String>>().join(" ")
}
