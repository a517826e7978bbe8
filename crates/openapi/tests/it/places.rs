//! Where arguments go and how they are written: styles, media types, security, servers.

use serde_json::{Value, json};
use switchboard_openapi::Options;

use crate::support::{Imported, document, imported, line, options, request, schema, try_import, with_operation};

/// The request of an operation with one parameter.
fn sent(parameter: &Value, value: &Value) -> String {
    let path = if parameter["in"] == "path" { "/a/{p}" } else { "/a" };
    let imported = imported(with_operation("get", path, json!({ "operationId": "get", "parameters": [parameter] })));
    let name = imported.tool().input.keys().next().unwrap().clone();
    let request = request(imported.tool(), &json!({ name: value })).unwrap();
    let header = request.headers.get("p").map(|value| format!(" p: {}", value.to_str().unwrap())).unwrap_or_default();
    format!("{}{header}", line(&request))
}

/// PrefectHQ/fastmcp#1004, #1543, #5060: styles and their defaults. The table of the standard (`OpenAPI` 3.1, Style
/// Examples), with `%2C` for a comma in a query, which is the same.
#[test]
fn values_are_written_by_the_styles_of_the_standard() {
    let list = json!({ "type": "array", "items": { "type": "string" } });
    let object = json!({ "type": "object", "properties": {
        "R": { "type": "integer" }, "G": { "type": "integer" }, "B": { "type": "integer" },
    } });
    let text = json!({ "type": "string" });
    let (colors, color) = (json!(["blue", "black", "brown"]), json!({ "R": 100, "G": 200, "B": 150 }));
    for (place, style, explode, schema, value, expected) in [
        ("query", None, None, &list, &colors, "GET /a?p=blue&p=black&p=brown"),
        ("query", Some("form"), Some(false), &list, &colors, "GET /a?p=blue%2Cblack%2Cbrown"),
        ("query", Some("spaceDelimited"), None, &list, &colors, "GET /a?p=blue+black+brown"),
        ("query", Some("pipeDelimited"), Some(false), &list, &colors, "GET /a?p=blue%7Cblack%7Cbrown"),
        ("query", Some("pipeDelimited"), Some(true), &list, &colors, "GET /a?p=blue&p=black&p=brown"),
        ("query", None, None, &object, &color, "GET /a?B=150&G=200&R=100"),
        ("query", Some("form"), Some(false), &object, &color, "GET /a?p=B%2C150%2CG%2C200%2CR%2C100"),
        ("query", Some("deepObject"), Some(true), &object, &color, "GET /a?p%5BB%5D=150&p%5BG%5D=200&p%5BR%5D=100"),
        ("query", Some("deepObject"), Some(true), &list, &colors, "GET /a?p%5B%5D=blue&p%5B%5D=black&p%5B%5D=brown"),
        ("query", None, None, &text, &json!("a,b"), "GET /a?p=a%2Cb"),
        ("path", None, None, &list, &colors, "GET /a/blue%2Cblack%2Cbrown"),
        ("path", None, Some(false), &object, &color, "GET /a/B%2C150%2CG%2C200%2CR%2C100"),
        ("path", None, Some(true), &object, &color, "GET /a/B%3D150%2CG%3D200%2CR%3D100"),
        ("path", Some("label"), None, &text, &json!("blue"), "GET /a/.blue"),
        ("path", Some("label"), None, &list, &colors, "GET /a/.blue%2Cblack%2Cbrown"),
        ("path", Some("matrix"), None, &text, &json!("blue"), "GET /a/;p=blue"),
        ("path", Some("matrix"), None, &list, &colors, "GET /a/;p=blue%2Cblack%2Cbrown"),
        ("header", None, None, &list, &colors, "GET /a p: blue,black,brown"),
        ("header", None, None, &object, &color, "GET /a p: B,150,G,200,R,100"),
        ("header", None, Some(true), &object, &color, "GET /a p: B=150,G=200,R=100"),
    ] {
        let mut parameter = json!({ "name": "p", "in": place, "required": true, "schema": schema });
        if let Some(style) = style {
            parameter["style"] = style.into();
        }
        if let Some(explode) = explode {
            parameter["explode"] = explode.into();
        }
        assert_eq!(sent(&parameter, value), expected, "{parameter}");
    }
    let content = json!({ "name": "p", "in": "query", "content": { "application/json": { "schema": object } } });
    assert_eq!(sent(&content, &color), "GET /a?p=%7B%22B%22%3A150%2C%22G%22%3A200%2C%22R%22%3A100%7D");
}

#[test]
fn a_style_that_tools_do_not_have_is_a_reason() {
    for (parameter, reason) in [
        (
            json!({ "name": "p", "in": "path", "style": "matrix", "explode": true, "schema": { "type": "string" } }),
            "the style matrix of `p` is not supported",
        ),
        (
            json!({ "name": "p", "in": "cookie", "required": true, "schema": { "type": "string" } }),
            "it needs the cookie `p`",
        ),
    ] {
        let imported = imported(document(json!({
            "/a/{p}": { "get": { "parameters": [parameter] } }, "/b": { "get": {} },
        })));
        assert_eq!(imported.skipped(), [format!("GET /a/{{p}}: {reason}")]);
    }
}

fn with_content(method: &str, content: Value) -> Imported {
    imported(with_operation(
        method,
        "/a",
        json!({ "operationId": "send", "requestBody": { "required": true, "content": content } }),
    ))
}

fn body(imported: &Imported, arguments: Value) -> (String, String) {
    let body = request(imported.tool(), &arguments).unwrap().body.unwrap();
    (body.content_type.split(';').next().unwrap().to_owned(), String::from_utf8_lossy(&body.bytes).into_owned())
}

#[test]
fn the_best_media_type_is_taken() {
    let object = json!({ "schema": { "type": "object", "properties": { "a": { "type": "string" } } } });
    let file = json!({ "schema": { "type": "string", "format": "binary" } });
    let text = json!({ "schema": { "type": "string" } });
    let a = json!({ "a": "x" });
    for (content, arguments, media_type, expected) in [
        (
            json!({ "multipart/form-data": object, "application/json": object }),
            a.clone(),
            "application/json",
            r#"{"a":"x"}"#,
        ),
        (json!({ "application/json; charset=utf-8": object }), a.clone(), "application/json", r#"{"a":"x"}"#),
        (
            json!({ "application/json-patch+json": object, "application/merge-patch+json": object }),
            a.clone(),
            "application/merge-patch+json",
            r#"{"a":"x"}"#,
        ),
        (json!({ "*/*": object }), a.clone(), "application/json", r#"{"a":"x"}"#),
        (
            json!({ "application/xml": object, "application/x-www-form-urlencoded": object }),
            a,
            "application/x-www-form-urlencoded",
            "a=x",
        ),
        (json!({ "application/octet-stream": file }), json!({ "file": "f" }), "application/octet-stream", "FILE"),
        (json!({ "*/*": file }), json!({ "file": "f" }), "text/plain", "FILE"),
        (json!({ "image/png": file }), json!({ "file": "f" }), "image/png", "FILE"),
        (json!({ "text/markdown": text }), json!({ "content": "# x" }), "text/markdown", "# x"),
    ] {
        let imported = with_content("post", content.clone());
        assert_eq!(body(&imported, arguments), (media_type.to_owned(), expected.to_owned()), "{content}");
    }
    let xml = json!({ "required": true, "content": { "application/xml": object } });
    let imported = imported(document(json!({ "/a": { "post": { "requestBody": xml }, "get": {} } })));
    assert_eq!(imported.skipped(), ["POST /a: the body is application/xml"]);
}

#[test]
fn forms_and_parts_are_written_by_their_encoding() {
    let schema = json!({ "type": "object", "required": ["name"], "properties": {
        "name": { "type": "string" },
        "tags": { "type": "array", "items": { "type": "string" } },
        "metadata": { "type": "object", "additionalProperties": { "type": "string" } },
        "filter": { "type": "object", "properties": { "a": { "type": "integer" } } },
    } });
    let encoding = json!({ "tags": { "style": "deepObject", "explode": true }, "metadata": { "style": "deepObject", "explode": true } });
    let form = with_content(
        "post",
        json!({ "application/x-www-form-urlencoded": { "schema": schema, "encoding": encoding } }),
    );
    let arguments = json!({ "name": "x", "tags": ["a", "b"], "metadata": { "k": "v" }, "filter": { "a": 1 } });
    assert_eq!(body(&form, arguments).1, "filter=%7B%22a%22%3A1%7D&metadata%5Bk%5D=v&name=x&tags%5B%5D=a&tags%5B%5D=b");
    let schema = json!({ "type": "object", "properties": {
        "file": { "type": "string", "format": "binary", "description": "What to send" },
        "files": { "type": "array", "items": { "type": "string", "format": "binary" } },
        "meta": { "type": "object", "properties": { "a": { "type": "integer" } } },
        "tags": { "type": "array", "items": { "type": "string" } },
    } });
    let parts = with_content("post", json!({ "multipart/form-data": { "schema": schema } }));
    let (media_type, text) = body(&parts, json!({ "file": "f", "meta": { "a": 1 }, "tags": ["a", "b"] }));
    assert_eq!(media_type, "multipart/form-data");
    for part in [
        "name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nFILE",
        "name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}",
        "name=\"tags\"\r\n\r\na\r\n",
        "name=\"tags\"\r\n\r\nb\r\n",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let file = &self::schema(parts.tool())["properties"]["file"];
    assert_eq!(
        *file,
        json!({ "type": "string", "title": "File", "description": "What to send", "file_uploadable": true })
    );
}

#[test]
fn a_request_has_the_body_that_the_document_says() {
    let nothing = imported(with_operation("post", "/a", json!({ "operationId": "run" })));
    assert!(request(nothing.tool(), &json!({})).unwrap().body.is_none());
    let delete = with_content(
        "delete",
        json!({ "application/json": { "schema": { "type": "object", "properties": { "ids": { "type": "array", "items": { "type": "integer" } } } } } }),
    );
    assert_eq!(line(&request(delete.tool(), &json!({ "ids": [1] })).unwrap()), r#"DELETE /a {"ids":[1]}"#);
    let wrapped = json!({ "type": "object", "required": ["data"], "properties": {
        "data": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" }, "id": { "type": "string", "readOnly": true } } },
        "meta": { "type": "object", "readOnly": true, "properties": { "a": { "type": "string" } } },
    } });
    let wrapped = with_content("post", json!({ "application/json": { "schema": wrapped } }));
    assert_eq!(wrapped.tool().input.keys().collect::<Vec<_>>(), ["name"]);
    assert_eq!(line(&request(wrapped.tool(), &json!({ "name": "x" })).unwrap()), r#"POST /a {"data":{"name":"x"}}"#);
    let dotted = json!({ "type": "object", "properties": { "a.b": { "type": "string" }, "c": { "type": "string" } } });
    let dotted = with_content("post", json!({ "application/json": { "schema": dotted } }));
    assert_eq!(
        line(&request(dotted.tool(), &json!({ "a_b": "x", "c": "y" })).unwrap()),
        r#"POST /a {"a.b":"x","c":"y"}"#
    );
    let free = with_content("post", json!({ "application/json": {} }));
    assert_eq!(line(&request(free.tool(), &json!({ "body": { "x": [1] } })).unwrap()), r#"POST /a {"x":[1]}"#);
    let open = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "additionalProperties": true });
    let open = with_content("post", json!({ "application/json": { "schema": open } }));
    assert_eq!(
        line(&request(open.tool(), &json!({ "a": "x", "additional_fields": { "b": 1 } })).unwrap()),
        r#"POST /a {"a":"x","b":1}"#
    );
}

#[test]
fn names_of_several_places_are_told_apart() {
    let parameter =
        |place: &str| json!({ "name": "id", "in": place, "required": true, "schema": { "type": "string" } });
    let body = json!({ "required": true, "content": { "application/json": { "schema": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } } } } });
    let imported = imported(with_operation(
        "post",
        "/a/{id}",
        json!({
            "operationId": "send", "parameters": [parameter("path"), parameter("query"), parameter("header")], "requestBody": body,
        }),
    ));
    let sent =
        request(imported.tool(), &json!({ "id": "p", "id_query": "q", "id_header": "h", "id_body": "b" })).unwrap();
    assert_eq!(line(&sent), r#"POST /a/p?id=q {"id":"b"}"#);
    assert_eq!(sent.headers["id"], "h");
}

/// A PATCH may clear a member; anywhere else null is what models write for nothing.
#[test]
fn null_means_something_in_a_patch_only() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string", "nullable": true }, "b": { "type": ["integer", "null"] } } });
    for (method, expected) in [("patch", r#"PATCH /a {"a":null,"b":null}"#), ("post", "POST /a {}")] {
        let imported = with_content(method, json!({ "application/json": { "schema": schema } }));
        assert_eq!(line(&request(imported.tool(), &json!({ "a": null, "b": null })).unwrap()), expected);
    }
}

/// A default that a document names is not sent: a PATCH would change what it does not name.
#[test]
fn defaults_are_described_and_not_sent() {
    let schema = json!({ "type": "object", "properties": { "private": { "type": "boolean", "default": false, "description": "Whether it is hidden." } } });
    let imported = with_content("patch", json!({ "application/json": { "schema": schema } }));
    let described = json!({ "type": "boolean", "description": "Whether it is hidden. Default: false." });
    assert_eq!(self::schema(imported.tool())["properties"]["private"], described);
    assert_eq!(line(&request(imported.tool(), &json!({})).unwrap()), "PATCH /a {}");
}

fn with_security(schemes: Value, security: Value, parameters: Value) -> Imported {
    let mut document = with_operation("get", "/a", json!({ "operationId": "get", "parameters": parameters }));
    document["components"] = json!({ "securitySchemes": schemes });
    document["security"] = security;
    try_import(document, &Options { auth: None, ..options() }).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn security_schemes_become_schemes() {
    let key = |place: &str, name: &str| json!({ "type": "apiKey", "in": place, "name": name });
    let schemes = |imported: &Imported| imported.import.report.schemes.join(" ");
    let parameter = |place: &str, name: &str| json!({ "name": name, "in": place, "schema": { "type": "string" } });
    let header = with_security(
        json!({ "k": key("header", "X-Key") }),
        json!([{ "k": [] }]),
        json!([parameter("header", "X-Key")]),
    );
    assert_eq!(schemes(&header), "API_KEY");
    assert_eq!(header.toolkit.api_key.as_ref().unwrap().apply[0].header.as_deref(), Some("X-Key"));
    assert!(header.tool().input.is_empty());
    // Key and token of Trello: both are entered, both are sent.
    let both = with_security(
        json!({ "key": key("query", "key"), "token": key("query", "token") }),
        json!([{ "key": [], "token": [] }]),
        json!([parameter("query", "key"), parameter("query", "token"), parameter("query", "q")]),
    );
    let applied: Vec<_> =
        both.toolkit.api_key.as_ref().unwrap().apply.iter().map(|one| one.query.clone().unwrap()).collect();
    assert_eq!(applied, ["key", "token"]);
    assert_eq!(both.tool().input.keys().collect::<Vec<_>>(), ["q"]);
    let flows = json!({ "authorizationCode": {
        "authorizationUrl": "https://acme-corp.com/authorize", "tokenUrl": "/token", "scopes": { "read": "", "write": "" },
    } });
    let oauth = with_security(
        json!({ "o": { "type": "oauth2", "flows": flows }, "b": { "type": "http", "scheme": "bearer" }, "p": { "type": "http", "scheme": "basic" } }),
        json!([{ "o": ["read"] }, { "b": [] }, { "p": [] }, { "o": ["read", "write"] }, {}]),
        json!([]),
    );
    assert_eq!(schemes(&oauth), "OAUTH2 BEARER_TOKEN BASIC");
    assert_eq!(oauth.toolkit.oauth2.as_ref().unwrap().token_url, "https://api.acme.test/token");
    assert_eq!(oauth.tool().scopes, [vec!["read"], vec!["read", "write"], vec![]]);
    let implicit = with_security(
        json!({ "o": { "type": "oauth2", "flows": { "implicit": { "authorizationUrl": "https://a.test", "scopes": {} } } } }),
        json!([{ "o": [] }]),
        json!([]),
    );
    assert_eq!(schemes(&implicit), "BEARER_TOKEN");
    assert!(implicit.import.report.findings.iter().any(|finding| finding.message.contains("a token can be entered")));
    let machine = with_security(
        json!({ "o": { "type": "oauth2", "flows": { "clientCredentials": { "tokenUrl": "https://acme-corp.com/token", "scopes": {} } } } }),
        json!([{ "o": [] }]),
        json!([]),
    );
    assert_eq!(schemes(&machine), "S2S_OAUTH2");
    // Slack's token, a parameter like any other.
    let token = json!({ "name": "token", "in": "query", "description": "Authentication token with the right scopes.", "schema": { "type": "string" } });
    let slack = with_security(
        json!({ "b": { "type": "http", "scheme": "bearer" } }),
        json!([{ "b": [] }]),
        json!([token, parameter("query", "page_token")]),
    );
    assert_eq!(slack.tool().input.keys().collect::<Vec<_>>(), ["page_token"]);
}

#[test]
fn an_operation_may_have_a_server_of_its_own() {
    let mut document = document(json!({
        "/a": { "get": { "operationId": "a" } },
        "/b": { "get": { "operationId": "b", "servers": [{ "url": "https://files.acme-corp.com/v2" }] } },
        "/c": { "servers": [{ "url": "https://api.acme-corp.com/upload/v1" }], "get": { "operationId": "c" } },
        "/d": { "get": { "operationId": "d", "servers": [{ "url": "https://{x}.acme-corp.com", "variables": { "x": {} } }] } },
    }));
    document["servers"] = json!([{ "url": "https://api.acme-corp.com/v1" }]);
    let imported = try_import(document, &Options { base_url: None, ..options() }).unwrap();
    let paths: Vec<&str> = imported.toolkit.tools().iter().map(|tool| tool.path.as_str()).collect();
    assert_eq!(paths, ["/a", "https://files.acme-corp.com/v2/b", "https://api.acme-corp.com/upload/v1/c"]);
    assert_eq!(imported.toolkit.hosts, ["api.acme-corp.com", "files.acme-corp.com"]);
    assert_eq!(imported.toolkit.paths, ["/upload/v1"]);
    assert_eq!(imported.skipped(), ["GET /d: its own server https://{x}.acme-corp.com has a variable"]);
}
