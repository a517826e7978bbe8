//! Assembles the document: the parts that all operations share, and each operation that is built.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::examples::{Example, example};
use super::schemas::Schemas;
use crate::api::http::error::Envelope;
use crate::api::operations::{Docs, Keys, Operation, PREFIX, Parameter, ParameterType, Repetition, State};

const ABOUT: &str = "Lets AI agents act with their users' own accounts. This API is compatible with version 3.1 of \
    Composio's tool router API, so that its SDKs work with only the base URL changed; it is not affiliated with \
    Composio.\n\nEvery operation is available under `/api/v3.1` and, with the same responses, under `/api/v3`. Every response \
    carries `x-request-id`; every error has the same envelope.";

/// First segments of paths, the tag of their operations, and its description.
const TAGS: &[(&[&str], &str, &str)] = &[
    (&["tool_router"], "Sessions", "A session is an end user and a policy, in which agents act."),
    (
        &["connected_accounts", "revoke_jobs"],
        "Connected accounts",
        "Accounts that users have connected: one credential each.",
    ),
    (&["auth_configs"], "Auth configs", "How a toolkit authenticates in a project."),
    (&["toolkits"], "Toolkits", "Providers, and what they need."),
    (&["org", "auth", "api_key_revocation"], "Organisation and keys", "Projects, and keys for the API."),
    (&["webhook_subscriptions", "webhook_endpoints"], "Webhooks", "Events that are sent to your application."),
    (&["tools"], "Tools", "Actions for agents."),
    (&["triggers_types", "trigger_instances"], "Triggers", "Events of providers."),
];
const OTHER: &str = "Other";

/// The document of a server with these operations at this URL. It is deterministic.
pub fn document(operations: &[&Operation], public_url: &str) -> Value {
    let mut schemas = Schemas::new();
    schemas.response("error", SchemaGenerator::subschema_for::<Envelope<'static>>);
    let mut paths = Map::new();
    let mut used = Vec::new();
    for operation in operations {
        let State::Works { docs, .. } = operation.state else { continue };
        let (tag, _) = tag(operation);
        if !used.contains(&tag) {
            used.push(tag);
        }
        let item = paths.entry(format!("{PREFIX}{}", operation.path)).or_insert_with(|| json!({}));
        item[operation.method.to_ascii_lowercase()] = operation_object(operation, &docs(), &mut schemas);
    }
    let tags: Vec<Value> = used.iter().map(|name| json!({ "name": name, "description": about_tag(name) })).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Switchboard",
            "summary": "Self-hosted tool router",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache License 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": public_url }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": security_schemes(),
            "headers": headers(),
            "parameters": scope_headers(),
            "responses": error_responses(),
        },
    });
    schemas.put_into(&mut document);
    document
}

/// The tag of an operation, and its description.
fn tag(operation: &Operation) -> (&'static str, &'static str) {
    let first = operation.path.split('/').nth(1).unwrap_or_default();
    let found = TAGS.iter().find(|(segments, _, _)| segments.contains(&first));
    found.map_or((OTHER, ""), |(_, name, about)| (name, about))
}

fn about_tag(name: &str) -> &'static str {
    TAGS.iter().find(|(_, tag, _)| *tag == name).map_or("", |(_, _, about)| about)
}

fn operation_object(operation: &Operation, docs: &Docs, schemas: &mut Schemas) -> Value {
    let id = operation.id();
    let example = example(&id);
    let mut object = json!({
        "operationId": id,
        "tags": [tag(operation).0],
        "summary": docs.summary,
        "parameters": parameters(operation, docs, example.as_ref()),
        "security": security(operation.keys),
        "responses": responses(operation, docs, &id, example.as_ref(), schemas),
    });
    if !docs.description.is_empty() {
        object["description"] = docs.description.into();
    }
    if let Some(of) = docs.body {
        let mut content = json!({ "schema": schemas.request(&id, of) });
        if let Some(request) = example.and_then(|example| example.request) {
            content["examples"] = json!({ "example": { "value": request } });
        }
        object["requestBody"] = json!({ "required": !docs.body_optional, "content": { "application/json": content } });
    }
    object
}

fn parameters(operation: &Operation, docs: &Docs, example: Option<&Example>) -> Vec<Value> {
    let mut list = Vec::new();
    for name in operation.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
        let mut parameter = json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": path_parameter(operation, name),
            "schema": { "type": "string" },
        });
        if let Some(value) = example.and_then(|example| example.path.get(name)) {
            parameter["example"] = value.as_str().into();
        }
        list.push(parameter);
    }
    list.extend(docs.parameters.iter().map(parameter));
    if operation.keys == Keys::ProjectOrUser {
        let scope = ["OrganizationScope", "ProjectScope"];
        list.extend(scope.map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })));
    }
    if docs.repetition == Repetition::Supported {
        list.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "A repeated request with the same key and body gets the first response and has no \
                second effect. Kept for 24 hours.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
        }));
    }
    list
}

fn path_parameter(operation: &Operation, name: &str) -> String {
    let known = match (name, tag(operation).0) {
        ("session_id", _) => "`trs_…`, the session.",
        ("id", "Connected accounts") => "`ca_…`, the connected account.",
        ("id", "Auth configs") => "`ac_…`, the auth config.",
        ("slug", "Toolkits") => "Slug of the toolkit, in any case.",
        ("id", _) => "Which one.",
        _ => return format!("The {}.", name.replace('_', " ")),
    };
    known.to_owned()
}

fn parameter(parameter: &Parameter) -> Value {
    let (schema, is_list) = match parameter.kind {
        ParameterType::Text => (json!({ "type": "string" }), false),
        ParameterType::TextOrMap => {
            let map = json!({ "type": "object", "additionalProperties": { "type": "string" } });
            (json!({ "anyOf": [{ "type": "string" }, map] }), false)
        }
        ParameterType::Flag => (json!({ "type": "boolean" }), false),
        // No maximum: a larger number is reduced, not rejected.
        ParameterType::Limit(_) => (json!({ "type": "number", "minimum": 1 }), false),
        ParameterType::List => (json!({ "type": "array", "items": { "type": "string" } }), true),
        ParameterType::OneOf(words) => (json!({ "type": "string", "enum": words }), false),
        ParameterType::ListOf(words) => {
            (json!({ "type": "array", "items": { "type": "string", "enum": words } }), true)
        }
    };
    let description = match parameter.kind {
        ParameterType::Limit(max) => format!("{} At most {max}: a larger number is reduced.", parameter.description),
        _ => parameter.description.to_owned(),
    };
    let mut object = json!({
        "name": parameter.name, "in": "query", "required": false, "description": description, "schema": schema,
    });
    if parameter.deprecated {
        object["deprecated"] = true.into();
    }
    if matches!(parameter.kind, ParameterType::TextOrMap) {
        // `key[name]=value`, as SDKs write objects.
        object["style"] = "deepObject".into();
        object["explode"] = true.into();
    }
    if is_list {
        // Joined by commas, as SDKs write them.
        object["style"] = "form".into();
        object["explode"] = false.into();
    } else {
        // An empty value counts as absent.
        object["allowEmptyValue"] = true.into();
    }
    object
}

fn responses(operation: &Operation, docs: &Docs, id: &str, example: Option<&Example>, schemas: &mut Schemas) -> Value {
    let any = json!({ "type": "object", "additionalProperties": true });
    let schema = docs.response.map_or(any, |of| schemas.response(id, of));
    let mut content = json!({ "schema": schema });
    if let Some(example) = example {
        content["examples"] = json!({ "example": { "value": example.response } });
    }
    let description = if docs.status == 201 { "Created." } else { "OK." };
    let mut headers = response_headers();
    if docs.repetition == Repetition::Supported {
        headers["idempotent-replayed"] = json!({ "$ref": "#/components/headers/IdempotentReplayed" });
    }
    let mut responses = json!({
        docs.status.to_string(): { "description": description, "headers": headers, "content": { "application/json": content } },
        "429": { "$ref": "#/components/responses/TooManyRequests" },
        "4XX": { "$ref": "#/components/responses/Refused" },
        "5XX": { "$ref": "#/components/responses/Failed" },
    });
    if operation.keys != Keys::Public {
        responses["401"] = json!({ "$ref": "#/components/responses/Unauthorized" });
    }
    responses
}

/// Headers that any response may have.
fn response_headers() -> Value {
    json!({
        "x-request-id": { "$ref": "#/components/headers/RequestId" },
        "X-RateLimit": { "$ref": "#/components/headers/RateLimit" },
        "X-RateLimit-Remaining": { "$ref": "#/components/headers/RateLimitRemaining" },
        "X-RateLimit-Window-Size": { "$ref": "#/components/headers/RateLimitWindowSize" },
    })
}

fn headers() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "RequestId": {
            "description": "Identifies this request: the caller's `x-request-id` if it has a safe format, else the server's. The log has both.",
            "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        },
        "RateLimit": { "description": "Requests per window.", "schema": text },
        "RateLimitRemaining": { "description": "Requests left in this window.", "schema": text },
        "RateLimitWindowSize": { "description": "Length of the window.", "schema": text },
        "RetryAfter": { "description": "Seconds to wait.", "schema": text },
        "ShouldRetry": {
            "description": "`false` if SDKs must not retry the request on their own.",
            "schema": text,
        },
        "IdempotentReplayed": {
            "description": "`true` if this is the response of an earlier request with the same `Idempotency-Key`.",
            "schema": text,
        },
    })
}

/// The headers that select the project of a user key.
fn scope_headers() -> Value {
    let header = |name: &str, description: &str| {
        json!({
            "name": name,
            "in": "header",
            "required": false,
            "description": format!(
                "{description}, as `GET /org/project/list` shows it. With a user API key in an installation of several projects \
                 this header and the other one of the two are required; a project API key needs neither."
            ),
            "schema": { "type": "string" },
        })
    };
    json!({
        "OrganizationScope": header("x-org-id", "Id of the organisation"),
        "ProjectScope": header("x-project-id", "Id of the project"),
    })
}

fn error_responses() -> Value {
    let error = example("error").map(|example| json!({ "example": { "value": example.response } }));
    let response = |description: &str, with_example: bool, retry: bool| {
        let mut content = json!({ "schema": { "$ref": "#/components/schemas/Error" } });
        if let Some(error) = error.as_ref().filter(|_| with_example) {
            content["examples"] = error.clone();
        }
        let mut headers = response_headers();
        headers["x-should-retry"] = json!({ "$ref": "#/components/headers/ShouldRetry" });
        if retry {
            headers["Retry-After"] = json!({ "$ref": "#/components/headers/RetryAfter" });
        }
        json!({ "description": description, "headers": headers, "content": { "application/json": content } })
    };
    json!({
        "Refused": response("The request is invalid or not allowed; `suggested_fix` says what to change.", true, false),
        "Unauthorized": response("No credential, or an invalid one.", false, false),
        "TooManyRequests": response("Too many requests; try again after `Retry-After` seconds.", false, true),
        "Failed": response("The server or the provider failed, or the operation is not built yet.", false, true),
    })
}

/// Any one of these is sufficient.
fn security(keys: Keys) -> Value {
    let names: &[&str] = match keys {
        Keys::Project => &["ApiKeyAuth"],
        Keys::ProjectOrUser => &["ApiKeyAuth", "UserApiKeyAuth"],
        Keys::User => &["UserApiKeyAuth"],
        Keys::Organization => &["OrgApiKeyAuth"],
        Keys::Any => &["ApiKeyAuth", "UserApiKeyAuth", "OrgApiKeyAuth"],
        Keys::Public => &[],
    };
    names.iter().map(|name| json!({ *name: [] })).collect()
}

fn security_schemes() -> Value {
    let key =
        |header: &str, about: &str| json!({ "type": "apiKey", "in": "header", "name": header, "description": about });
    json!({
        "ApiKeyAuth": key("x-api-key", "A project's key, `ak_…`."),
        "UserApiKeyAuth": key(
            "x-user-api-key",
            "A key of a person, `uak_…`. On operations in a project, `x-org-id` and `x-project-id` select it: \
             both, or neither if there is exactly one project.",
        ),
        "OrgApiKeyAuth": key("x-org-api-key", "A key of the organisation, `oak_…`."),
    })
}
