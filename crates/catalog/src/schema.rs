//! JSON Schema (draft 2020-12) of the toolkit file, for editors; a copy is `docs/toolkit.schema.json`.
//!
//! Written by hand, because it says more than the types do: patterns, examples, what excludes what.
//! A test compares its keys with those that the reader accepts. Rules that look at several keys at
//! once (hosts, template variables) are the validation's alone.

use serde_json::{Map, Value, json};

/// The schema as a JSON document.
pub fn json_schema() -> Value {
    let mut schema = table(
        "A provider and the ways to authenticate with it.",
        &["slug", "name", "description", "categories", "color", "version", "base_url", "hosts"],
        &toolkit(),
    );
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Switchboard toolkit");
    let offers = |scheme: &str| json!({ "required": [scheme] });
    schema["anyOf"] = ["oauth2", "api_key", "bearer_token", "basic", "no_auth"].map(offers).into_iter().collect();
    schema["$defs"] = json!({
        "template": {
            "type": "string",
            "description": "Text with {name} variables; {{ is a literal brace.",
        },
        "url": {
            "type": "string",
            "pattern": "^(https://|http://(127\\.|\\[::1\\])|\\{)",
            "description": "An https URL; a template over connection fields.",
        },
        "page": { "type": "string", "pattern": "^https://" },
        "pointer": { "type": "string", "pattern": "^/", "description": "A JSON pointer (RFC 6901)." },
        "name": { "type": "string", "pattern": "^[a-z][a-z0-9_]*$" },
        "headers": { "type": "object", "additionalProperties": { "type": "string" } },
        "scope": { "type": "string", "pattern": "^[!#-\\[\\]-~]+$" },
        "field": field(),
        "oauth2": oauth2(),
        "token_response": token_response(),
        "placement": placement(),
        "key_scheme": key_scheme(),
        "basic": basic(),
        "field_text": field_text(),
        "probe": probe(),
        "identity": identity(),
    });
    schema
}

/// A table that takes these keys and no others.
fn table(description: &str, required: &[&str], properties: &Value) -> Value {
    json!({
        "type": "object",
        "description": description,
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

/// Another definition, with what it means in this place.
fn refer(definition: &str, description: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}"), "description": description })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn list(items: Value, description: &str) -> Value {
    let mut list = Map::new();
    list.insert("type".to_owned(), json!("array"));
    list.insert("items".to_owned(), items);
    list.insert("description".to_owned(), json!(description));
    Value::Object(list)
}

fn some(items: Value, description: &str) -> Value {
    let mut list = list(items, description);
    list["minItems"] = json!(1);
    list
}

fn toolkit() -> Value {
    json!({
        "slug": {
            "type": "string",
            "pattern": "^[a-z0-9_-]{1,64}$",
            "description": "Identifier; equal to the folder's name.",
        },
        "name": text("Name shown to people."),
        "description": text("One sentence on what the provider is."),
        "categories": some(
            json!({ "type": "string", "pattern": "^[a-z0-9-]+$" }),
            "Categories such as developer-tools.",
        ),
        "app_url": refer("page", "Home page of the product."),
        "auth_guide_url": refer("page", "How to register an OAuth client or make a key."),
        "color": {
            "type": "string",
            "pattern": "^#[0-9a-fA-F]{6}$",
            "description": "Background of the monogram that stands in for a logo.",
        },
        "version": {
            "type": "string",
            "pattern": "^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])_[0-9]{2}$",
            "description": "YYYYMMDD_NN; changes whenever the meaning of the file does.",
        },
        "base_url": refer("url", "Where relative endpoints go; its host must be in hosts."),
        "hosts": some(
            refer("template", "host, *.host, host:port or a template."),
            "The only hosts that may receive credentials.",
        ),
        "headers": refer("headers", "Sent with API requests unless the caller sets them."),
        "sources": list(refer("page", "A public page."), "Pages that this file was checked against."),
        "unverified": list(text("A fact, in words."), "Facts that could not be checked."),
        "fields": list(
            refer("field", "A connection field."),
            "Non-secret values of one account that templates use.",
        ),
        "oauth2": refer("oauth2", "OAUTH2: OAuth 2.0 authorization code."),
        "api_key": refer("key_scheme", "API_KEY: a key that the user copies; name its field generic_api_key."),
        "bearer_token": refer("key_scheme", "BEARER_TOKEN: an existing token; name its field token."),
        "basic": refer("basic", "BASIC: user name and password."),
        "no_auth": table("NO_AUTH: no credential at all.", &[], &json!({})),
        "identity": refer("identity", "Who is this account?"),
    })
}

fn field() -> Value {
    let properties = json!({
        "name": refer("name", "Name in templates and in the API."),
        "display_name": text("Label."),
        "description": { "type": "string", "description": "What to enter and where to find it." },
        "secret": { "type": "boolean", "default": false, "description": "Masked, and sealed at rest." },
        "required": { "type": "boolean", "default": true },
        "default": text("Used when nothing is entered."),
        "example": text("Shown inside the empty input."),
        "format": {
            "enum": ["text", "dns_label", "hostname", "origin"],
            "default": "text",
            "description": "What the value must look like; text cannot be part of a URL.",
        },
    });
    table("A value that a person enters when connecting.", &["name", "display_name"], &properties)
}

fn oauth2() -> Value {
    let properties = json!({
        "authorization_url": refer("url", "Authorization endpoint."),
        "token_url": refer("url", "Token endpoint."),
        "refresh_url": refer("url", "Where refresh requests go, if not to token_url."),
        "revocation_url": refer("url", "Revocation endpoint (RFC 7009)."),
        "issuer": refer("url", "What iss in the callback must equal (RFC 9207)."),
        "iss_required": {
            "type": "boolean",
            "default": false,
            "description": "The provider always sends iss; needs issuer.",
        },
        "pkce": { "enum": ["S256", "off"], "default": "S256", "description": "RFC 7636." },
        "client_authentication": {
            "enum": ["client_secret_post", "client_secret_basic", "none"],
            "default": "client_secret_post",
            "description": "How the client authenticates at the token endpoint.",
        },
        "token_request_format": { "enum": ["form", "json"], "default": "form" },
        "token_headers": refer("headers", "Additional headers of token requests."),
        "scopes": list(refer("scope", "A scope."), "Asked for when nobody names any."),
        "available_scopes": list(refer("scope", "A scope."), "Scopes worth offering."),
        "scope_separator": { "enum": [" ", ","], "default": " " },
        "scope_parameter": { "type": "string", "default": "scope", "pattern": "^[A-Za-z0-9._-]+$" },
        "user_scope_parameter": {
            "type": "string",
            "pattern": "^[A-Za-z0-9._-]+$",
            "description": "Parameter of user-level scopes where there are two kinds of token.",
        },
        "authorization_parameters": refer("headers", "Extra parameters of the authorization request."),
        "token_parameters": refer("headers", "Extra parameters of the token request."),
        "refresh": {
            "enum": ["rotating", "stable", "none"],
            "default": "rotating",
            "description": "What a refresh does to the refresh token.",
        },
        "expires_in": {
            "type": "integer",
            "minimum": 1,
            "description": "Lifetime in seconds of an access token whose answer states none.",
        },
        "response": refer("token_response", "Where values stand in the token answer."),
        "apply": some(
            refer("placement", "A header."),
            "How the token is sent; default Authorization: Bearer {access_token}.",
        ),
    });
    let required = ["authorization_url", "token_url"];
    table("OAuth 2.0 authorization code grant (RFC 6749 section 4.1).", &required, &properties)
}

fn token_response() -> Value {
    let properties = json!({
        "access_token": refer("pointer", "Default /access_token."),
        "refresh_token": refer("pointer", "Default /refresh_token."),
        "expires_in": refer("pointer", "Default /expires_in; seconds."),
        "scope": refer("pointer", "Default /scope."),
        "token_type": refer("pointer", "Default /token_type."),
        "error_pointer": refer("pointer", "A 200 answer is an error when this equals error_value."),
        "error_value": { "description": "The value at error_pointer that means failure." },
        "capture": {
            "type": "object",
            "propertyNames": { "$ref": "#/$defs/name" },
            "additionalProperties": { "$ref": "#/$defs/pointer" },
            "description": "Non-secret values to keep with the account.",
        },
    });
    let mut schema = table("JSON pointers into the token answer.", &[], &properties);
    schema["dependentRequired"] = json!({ "error_pointer": ["error_value"], "error_value": ["error_pointer"] });
    schema
}

fn placement() -> Value {
    let properties = json!({
        "header": { "type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" },
        "query": text("Query parameter; only in api_key, and only where the provider demands it."),
        "value": refer("template", "Template over the credential and connection fields."),
    });
    let mut schema = table("One place where a credential goes.", &["value"], &properties);
    schema["oneOf"] = json!([{ "required": ["header"] }, { "required": ["query"] }]);
    schema
}

fn key_scheme() -> Value {
    let properties = json!({
        "fields": some(refer("field", "A field."), "What the user enters; at least one secret."),
        "apply": some(refer("placement", "A place."), "How it is put on API requests."),
        "verify": refer("probe", "Proves the credential before it is saved."),
    });
    table("A credential of one or a few entered values.", &["fields", "apply"], &properties)
}

fn basic() -> Value {
    let properties = json!({
        "username": refer("field_text", "Label and help of the user name."),
        "password": refer("field_text", "Label and help of the password."),
        "verify": refer("probe", "Proves the credential before it is saved."),
    });
    table("HTTP Basic authentication (RFC 7617).", &[], &properties)
}

fn field_text() -> Value {
    let properties = json!({
        "display_name": text("Label."),
        "description": { "type": "string", "description": "What to enter and where to find it." },
    });
    table("Label and help of a fixed field.", &["display_name"], &properties)
}

fn probe() -> Value {
    let properties = json!({
        "method": { "enum": ["GET", "POST"], "default": "GET" },
        "url": {
            "type": "string",
            "pattern": "^(/($|[^/])|https://|http://(127\\.|\\[::1\\])|\\{)",
            "description": "Absolute, or relative to base_url; a template over connection fields.",
        },
        "headers": refer("headers", "Extra headers."),
        "json": { "description": "Body, sent as application/json; needs POST." },
        "ok_pointer": refer("pointer", "Must equal ok_value, besides a 2xx status."),
        "ok_value": { "description": "The value at ok_pointer that means success." },
    });
    let mut schema = table("A request made with the account's credential.", &["url"], &properties);
    schema["dependentRequired"] = json!({ "ok_pointer": ["ok_value"], "ok_value": ["ok_pointer"] });
    schema
}

fn identity() -> Value {
    let properties = json!({
        "request": refer("probe", "The request."),
        "id": refer("pointer", "The stable identifier."),
        "email": refer("pointer", "An e-mail address."),
        "name": refer("pointer", "A display name."),
    });
    table("A request and where its answer says who the account is.", &["request", "id"], &properties)
}
