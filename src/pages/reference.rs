//! `/docs`: the reference page, rendered from the document that `/openapi.json` serves, so that the two
//! cannot differ. No scripts, no external resources, no key needed.

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Field, Fields};
use super::render::{BRAND, render};
use crate::api::openapi;
use crate::api::operations::{Operation, PREFIX};
use crate::app::App;

#[derive(Serialize)]
struct Context {
    brand: &'static str,
    version: String,
    about: Vec<String>,
    base_url: String,
    schemes: Vec<SchemeContext>,
    areas: Vec<AreaContext>,
    error: Vec<Field>,
    error_example: Option<String>,
}

#[derive(Serialize)]
struct SchemeContext {
    name: String,
    header: String,
    description: String,
}

#[derive(Serialize)]
struct AreaContext {
    name: String,
    anchor: String,
    description: String,
    operations: Vec<OperationContext>,
}

#[derive(Serialize)]
struct OperationContext {
    id: String,
    method: &'static str,
    path: &'static str,
    summary: String,
    description: String,
    keys: Vec<String>,
    parameters: Vec<ParameterContext>,
    body: Option<Vec<Field>>,
    body_required: bool,
    status: String,
    response_fields: Vec<Field>,
    curl: String,
    response: Option<String>,
}

#[derive(Serialize)]
struct ParameterContext {
    name: String,
    place: String,
    required: bool,
    kind: String,
    description: String,
}

/// The operations of the page, and the page once it was requested.
struct ReferenceState {
    operations: Vec<&'static Operation>,
    page: OnceLock<Option<Bytes>>,
}

/// The route of the page about these operations, which is rendered on the first request.
pub fn router(operations: Vec<&'static Operation>) -> Router<Arc<App>> {
    let state = Arc::new(ReferenceState { operations, page: OnceLock::new() });
    Router::new().route("/docs", get(show).layer(Extension(state)))
}

async fn show(State(app): State<Arc<App>>, Extension(state): Extension<Arc<ReferenceState>>) -> Response {
    let page = state.page.get_or_init(|| {
        let url = &app.core.settings.public_url;
        let context = context(&state.operations, &openapi::document(&state.operations, url), url);
        render("reference.html", &context).map(Bytes::from)
    });
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    match page {
        Some(page) => ([kind], page.clone()).into_response(),
        None => (StatusCode::INTERNAL_SERVER_ERROR, [kind], "<!doctype html><title>Error</title>").into_response(),
    }
}

fn context(operations: &[&Operation], document: &Value, public_url: &str) -> Context {
    let fields = Fields::of(document);
    let mut areas: Vec<AreaContext> = Vec::new();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(&tag["name"]);
        areas.push(AreaContext {
            anchor: format!("area-{}", name.to_ascii_lowercase().replace(' ', "-")),
            description: text(&tag["description"]),
            operations: Vec::new(),
            name,
        });
    }
    for operation in operations.iter().filter(|operation| operation.works_here()) {
        let pointer = format!("{PREFIX}{}", operation.path);
        let object = &document["paths"][&pointer][operation.method.to_ascii_lowercase()];
        let tag = text(&object["tags"][0]);
        if let Some(area) = areas.iter_mut().find(|area| area.name == tag) {
            area.operations.push(operation_context(operation, object, document, &fields, public_url));
        }
    }
    let components = &document["components"];
    let schemes = components["securitySchemes"].as_object().into_iter().flatten();
    Context {
        brand: BRAND,
        version: text(&document["info"]["version"]),
        about: text(&document["info"]["description"]).split("\n\n").map(str::to_owned).collect(),
        base_url: format!("{public_url}{PREFIX}"),
        schemes: schemes
            .map(|(name, scheme)| SchemeContext {
                name: name.clone(),
                header: text(&scheme["name"]),
                description: text(&scheme["description"]),
            })
            .collect(),
        areas,
        error: fields.of_schema(&components["schemas"]["Error"]),
        error_example: openapi::example("error").map(|example| pretty(&example.response)),
    }
}

fn operation_context(
    operation: &Operation,
    object: &Value,
    document: &Value,
    fields: &Fields<'_>,
    public_url: &str,
) -> OperationContext {
    let id = operation.id();
    let (status, success) = object["responses"]
        .as_object()
        .and_then(|all| all.iter().find(|(status, _)| status.starts_with('2')))
        .map_or((String::new(), &Value::Null), |(status, response)| (status.clone(), response));
    let body = object.get("requestBody").map(|body| fields.of_schema(&body["content"]["application/json"]["schema"]));
    let parameters = object["parameters"].as_array().into_iter().flatten();
    let example = openapi::example(&id);
    OperationContext {
        method: operation.method,
        path: operation.path,
        summary: text(&object["summary"]),
        description: text(&object["description"]),
        keys: object["security"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|requirement| requirement.as_object()?.keys().next())
            .map(|name| text(&document["components"]["securitySchemes"][name]["name"]))
            .collect(),
        parameters: parameters
            .map(|parameter| ParameterContext {
                name: text(&parameter["name"]),
                place: text(&parameter["in"]),
                required: parameter["required"] == true,
                kind: fields.kind(&parameter["schema"]),
                description: text(&parameter["description"]),
            })
            .collect(),
        body,
        body_required: object["requestBody"]["required"] == true,
        status,
        response_fields: fields.of_schema(&success["content"]["application/json"]["schema"]),
        curl: curl(operation, object, example.as_ref(), public_url),
        response: example.map(|example| pretty(&example.response)),
        id,
    }
}

/// The example as a command. The key is a variable, so that no key is pasted into documents.
fn curl(operation: &Operation, object: &Value, example: Option<&openapi::Example>, public_url: &str) -> String {
    let mut path = operation.path.to_owned();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in example.into_iter().flat_map(|example| &example.path) {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    query.extend_pairs(example.into_iter().flat_map(|example| &example.query));
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    let method = if operation.method == "GET" { String::new() } else { format!(" -X {}", operation.method) };
    let mut command = format!("curl{method} '{public_url}{PREFIX}{path}{mark}{query}'");
    let scheme =
        object["security"][0].as_object().and_then(|requirement| requirement.keys().next().map(String::as_str));
    command.push_str(match scheme {
        Some("ApiKeyAuth") => " \\\n  -H \"x-api-key: $SWITCHBOARD_API_KEY\"",
        Some("UserApiKeyAuth") => " \\\n  -H \"x-user-api-key: $SWITCHBOARD_USER_API_KEY\"",
        Some("OrgApiKeyAuth") => " \\\n  -H \"x-org-api-key: $SWITCHBOARD_ORG_API_KEY\"",
        _ => "",
    });
    if let Some(body) = example.and_then(|example| example.request.as_ref()) {
        command.push_str(" \\\n  -H 'content-type: application/json' \\\n  -d '");
        command.push_str(&pretty(body).replace('\'', "'\\''"));
        command.push('\'');
    }
    command
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
