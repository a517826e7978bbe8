//! What people have complained about in the issues of other converters, one test for each. The numbers are those of the
//! first issue that names the fault.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchboard_openapi::{ImportError, Options};
use switchboard_tools::{ProviderAnswer, read};

use crate::support::{
    document, imported, line, options, output, request, rules, schema, try_import, with_body, with_operation,
};

/// PrefectHQ/fastmcp#1206, tadata-org/fastapi_mcp#238: recursion ends the import.
#[test]
fn schemas_within_themselves_are_cut_off() {
    let tree = json!({ "type": "object", "properties": {
        "name": { "type": "string" },
        "parent": { "$ref": "#/components/schemas/Tree" },
        "children": { "type": "array", "items": { "$ref": "#/components/schemas/Tree" } },
        "by_name": { "type": "object", "additionalProperties": { "$ref": "#/components/schemas/Tree" } },
        "both": { "allOf": [{ "$ref": "#/components/schemas/Tree" }, { "description": "The same." }] },
        "one": { "oneOf": [{ "$ref": "#/components/schemas/Tree" }, { "type": "string" }] },
    } });
    let start = Instant::now();
    let imported = imported(with_body(&json!({ "$ref": "#/components/schemas/Tree" }), json!({ "Tree": tree })));
    assert!(start.elapsed() < Duration::from_secs(2));
    let tool = imported.tool();
    assert_eq!(rules::broken(&schema(tool)), Vec::<String>::new());
    let sent = request(tool, &json!({ "parent": { "parent": { "anything": 1 } } })).unwrap();
    assert_eq!(line(&sent), r#"POST /things {"parent":{"parent":{"anything":1}}}"#);
}

/// A schema that is nothing but itself.
#[test]
fn a_reference_to_itself_is_an_object_or_a_reason() {
    for schema in [
        json!({ "$ref": "#/components/schemas/Loop" }),
        json!({ "allOf": [{ "$ref": "#/components/schemas/Loop" }] }),
        json!({ "oneOf": [{ "$ref": "#/components/schemas/Loop" }] }),
    ] {
        let document = with_body(&json!({ "$ref": "#/components/schemas/Loop" }), json!({ "Loop": schema }));
        match try_import(document, &options()) {
            Ok(imported) => assert_eq!(rules::broken(&self::schema(imported.tool())), Vec::<String>::new()),
            Err(error) => assert!(error.to_string().starts_with("no operation can be imported: "), "{error}"),
        }
    }
}

/// PrefectHQ/fastmcp#786: references outside of `components`.
#[test]
fn references_lead_anywhere() {
    let mut document = document(json!({
        "/a/{id}": { "get": { "operationId": "getA", "parameters": [
            { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
            { "name": "page size", "in": "query", "schema": { "$ref": "#/x-parts/sizes/1" } },
        ] } },
        "/b/{id}": { "$ref": "#/x-items/0" },
    }));
    document["x-parts"] = json!({ "sizes": [{}, { "type": "integer", "description": "How many." }] });
    // A path is `~1`, a brace may be percent-encoded.
    document["x-items"] = json!([{ "get": { "operationId": "getB", "parameters": [
        { "$ref": "#/paths/~1a~1%7Bid%7D/get/parameters/0" }, { "$ref": "#/paths/~1a~1{id}/get/parameters/1" },
    ] } }]);
    let imported = imported(document);
    assert_eq!(imported.slugs(), ["ACME_GET_A", "ACME_GET_B"]);
    for tool in imported.toolkit.tools() {
        assert_eq!(schema(tool)["properties"]["page_size"], json!({ "type": "integer", "description": "How many." }));
    }
}

/// PrefectHQ/fastmcp#926: the path of the server is lost.
#[test]
fn the_path_of_the_server_stays() {
    for (server, base_url) in [
        ("https://api.acme-corp.com", "https://api.acme-corp.com"),
        ("https://api.acme-corp.com/", "https://api.acme-corp.com"),
        ("https://api.acme-corp.com/v1", "https://api.acme-corp.com/v1"),
        ("https://API.acme-corp.com/v1/", "https://api.acme-corp.com/v1"),
        ("//api.acme-corp.com/v1", "https://api.acme-corp.com/v1"),
        ("/v2", "https://docs.acme-corp.com/v2"),
        ("v2", "https://docs.acme-corp.com/specs/v2"),
        ("https://{region}.acme-corp.com/v1", "https://{region}.acme-corp.com/v1"),
        ("https://api.acme-corp.com/{version}", "https://api.acme-corp.com/v3"),
    ] {
        let mut document = with_operation("get", "/things", json!({ "operationId": "listThings" }));
        document["servers"] = json!([{ "url": server, "variables": {
            "region": { "default": "eu", "enum": ["eu", "us"] }, "version": { "default": "v3" },
        } }]);
        let url = "https://docs.acme-corp.com/specs/openapi.json".parse().unwrap();
        let options = Options { base_url: None, source_url: Some(url), ..options() };
        let imported = try_import(document, &options).unwrap();
        assert_eq!(imported.toolkit.base_url, base_url, "{server}");
        assert_eq!(imported.tool().path, "/things");
    }
}

/// PrefectHQ/fastmcp#1100, samanhappy/mcphub#1057: values in the query and in headers are not sent.
#[test]
fn every_place_is_sent() {
    let parameter = |name: &str, place: &str| json!({ "name": name, "in": place, "schema": { "type": "string" } });
    let imported = imported(with_operation(
        "get",
        "/things/{id}",
        json!({ "operationId": "getThing", "parameters": [
        parameter("id", "path"), parameter("q", "query"), parameter("X-Tenant", "header"), parameter("If-Match", "header"),
        parameter("Authorization", "header"), parameter("Accept", "header"), parameter("Content-Type", "header"),
    ] }),
    ));
    let tool = imported.tool();
    assert_eq!(tool.input.keys().collect::<Vec<_>>(), ["If-Match", "X-Tenant", "id", "q"]);
    let sent = request(tool, &json!({ "id": "1", "q": "a b", "X-Tenant": "t", "If-Match": "\"e\"" })).unwrap();
    assert_eq!(line(&sent), "GET /things/1?q=a+b");
    assert_eq!(
        (&sent.headers["x-tenant"], &sent.headers["if-match"]),
        (&"t".parse().unwrap(), &"\"e\"".parse().unwrap())
    );
}

/// PrefectHQ/fastmcp#5112, BerriAI/litellm#26788: names that are alike replace each other.
#[test]
fn no_two_tools_have_one_name() {
    let operation = |id: &str| json!({ "operationId": id });
    let imported = imported(document(json!({
        "/a": { "get": operation("list things"), "post": operation("list-things") },
        "/b": { "get": operation("listThings"), "post": operation("list.things") },
        "/c": { "get": operation("LIST_THINGS") },
    })));
    let slugs = imported.slugs();
    assert_eq!(slugs.len(), 5, "{slugs:?}");
    assert!(slugs.iter().all(|slug| slug.starts_with("ACME_LIST_THINGS")), "{slugs:?}");
    let names = &imported.import.report.renamed;
    assert_eq!(names.len(), 4, "the report says which ones differ: {names:?}");
}

/// PrefectHQ/fastmcp#267, aklivity/zilla#2216: a path parameter that is not given is sent as `{id}`, or the call hangs.
#[test]
fn a_missing_path_argument_is_a_mistake() {
    // The document does not even declare the second one.
    let imported = imported(with_operation(
        "get",
        "/a/{id}/b/{name}",
        json!({ "operationId": "get", "parameters": [
        { "name": "id", "in": "path", "schema": { "type": "string" } },
    ] }),
    ));
    let mistakes = request(imported.tool(), &json!({})).unwrap_err();
    let places: Vec<&str> = mistakes.iter().map(|mistake| mistake.argument.as_str()).collect();
    assert_eq!(places, ["id", "name"]);
    let sent = request(imported.tool(), &json!({ "id": "1", "name": "x" })).unwrap();
    assert_eq!(line(&sent), "GET /a/1/b/x");
}

/// PrefectHQ/fastmcp#2472, QuantConnect/mcp-server#58: an answer is refused because it has more than its schema says.
#[test]
fn an_answer_is_never_refused() {
    let thing = json!({ "type": "object", "additionalProperties": false, "required": ["id", "kind"], "properties": {
        "id": { "type": "integer", "minimum": 1 }, "kind": { "type": "string", "enum": ["a", "b"], "format": "uri" },
    } });
    let imported = imported(with_operation(
        "get",
        "/thing",
        json!({ "operationId": "getThing", "responses": {
        "200": { "content": { "application/json": { "schema": thing } } },
    } }),
    ));
    let tool = imported.tool();
    let id = json!({ "description": "Id.", "type": "integer" });
    let kind = json!({ "description": "One of a, b.", "type": "string" });
    assert_eq!(output(tool), json!({ "type": "object", "properties": { "id": id, "kind": kind } }));
    for answer in [json!({ "kind": "c", "more": 1 }), json!([1]), json!("x"), Value::Null] {
        let answer = ProviderAnswer { status: 200, json: Some(answer), ..ProviderAnswer::default() };
        assert!(read(tool, answer).is_ok());
    }
}

/// tadata-org/fastapi_mcp#161, harsha-iiiv/openapi-mcp-generator#4, microsoft/vscode#243602: names longer than 64.
#[test]
fn names_have_at_most_64_characters() {
    let long = "get_the_configuration_of_the_organization_of_the_repository_for_the_user_of_the_environment_v2";
    let imported = imported(document(json!({
        "/a": { "get": { "operationId": long } },
        "/b": { "get": { "operationId": format!("{long}_b") } },
        format!("/{}", "long-segment/".repeat(30)): { "get": {} },
    })));
    let slugs = imported.slugs();
    assert_eq!(slugs.len(), 3);
    assert!(slugs.iter().all(|slug| slug.len() <= 64 && slug.starts_with("ACME_GET_")), "{slugs:?}");
}

/// ivo-toby/mcp-openapi-server#94: abbreviations that no one can read.
#[test]
fn a_name_keeps_its_words_as_long_as_it_can() {
    let id = "list_the_members_of_a_team_in_the_organization_with_their_roles_and_permissions";
    let imported = imported(with_operation("get", "/a", json!({ "operationId": id })));
    assert_eq!(imported.slugs(), ["ACME_LIST_MEMBERS_TEAM_ORGANIZATION_THEIR_ROLES_PERMISSIONS"]);
    assert_eq!(imported.import.report.renamed.len(), 1);
}

/// tadata-org/fastapi_mcp#319: bodies that are lists are lost.
#[test]
fn a_body_may_be_a_list() {
    let imported = imported(with_body(&json!({ "type": "array", "items": { "type": "integer" } }), json!({})));
    let sent = request(imported.tool(), &json!({ "body": [1, 2] })).unwrap();
    assert_eq!(line(&sent), "POST /things [1,2]");
}

/// janwilmake/openapi-mcp-server#7: the same operation id in two APIs.
#[test]
fn tools_begin_with_the_slug_of_their_toolkit() {
    let document = with_operation("get", "/things", json!({ "operationId": "listThings" }));
    let other = Options { slug: "other".to_owned(), ..options() };
    assert_eq!(try_import(document.clone(), &options()).unwrap().slugs(), ["ACME_LIST_THINGS"]);
    assert_eq!(try_import(document.clone(), &other).unwrap().slugs(), ["OTHER_LIST_THINGS"]);
    let prefixed = Options { prefix: Some("beta".to_owned()), ..options() };
    assert_eq!(try_import(document, &prefixed).unwrap().slugs(), ["ACME_BETA_LIST_THINGS"]);
}

/// matthewhand/mcp-openapi-proxy#16, langflow-ai/langflow#13476, google-gemini/gemini-cli#13326,
/// digitalocean-labs/mcp-digitalocean#265, posit-dev/chatlas#255: `items`, `properties` or `type` are missing, formats and
/// keywords are refused.
#[test]
fn incomplete_schemas_are_completed() {
    let body = json!({ "type": "object", "properties": {
        "list": { "type": "array" },
        "nested": { "type": "array", "items": {} },
        "anything": {},
        "yes": true,
        "object": { "type": "object" },
        "several": { "type": ["string", "integer", "null"] },
        "tuple": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "number" }] },
        "number": { "enum": [1, 2, 3] },
        "mixed": { "enum": ["a", 1, true, null] },
        "empty": { "type": "string", "enum": ["", "a"] },
        "url": { "type": "string", "format": "uri" },
        "fixed": { "const": "x" },
        "pattern": { "type": "string", "pattern": "^(?=a)\\p{L}+$" },
        "conditional": { "type": "object", "if": {}, "then": {}, "properties": { "a": { "type": "string" } } },
        "$odd name": { "type": "string" },
        "map": { "type": "object", "patternProperties": { "^x-": { "type": "string" } } },
        "inner": { "type": "object", "properties": { "@type": { "type": "string" }, "a": { "type": "string" } } },
    }, "required": ["missing", "list"] });
    let imported = imported(with_body(&body, json!({})));
    let schema = schema(imported.tool());
    assert_eq!(rules::broken(&schema), Vec::<String>::new());
    assert_eq!(schema["required"], json!(["list"]));
    let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 17, "{names:?}");
    assert_eq!(schema["properties"]["url"], json!({ "type": "string", "description": "Format: uri." }));
    assert_eq!(schema["properties"]["number"], json!({ "type": "integer", "description": "One of 1, 2, 3." }));
    let sent = request(
        imported.tool(),
        &json!({ "list": [1, "a", { "b": [2] }], "odd_name": "x", "inner": { "@type": "t" } }),
    );
    assert_eq!(
        line(&sent.unwrap()),
        r#"POST /things {"$odd name":"x","inner":{"@type":"t"},"list":[1,"a",{"b":[2]}]}"#
    );
}

/// wso2/api-manager#4477: blanks and slashes in path values.
#[test]
fn values_in_the_path_are_encoded() {
    let imported = imported(with_operation(
        "get",
        "/a/{order-id}:archive",
        json!({ "parameters": [
        { "name": "order-id", "in": "path", "required": true, "schema": { "type": "string" } },
    ] }),
    ));
    let sent = request(imported.tool(), &json!({ "order_id": "a b/ü?{x}" })).unwrap();
    assert_eq!(line(&sent), "GET /a/a%20b%2F%C3%BC%3F%7Bx%7D:archive");
    for value in ["..", ".", "", "a/../b"] {
        assert!(request(imported.tool(), &json!({ "order_id": value })).is_err(), "{value}");
    }
}

/// doitintl/doit-mcp-server#225: parameters of the path and media types with `+json` are not seen.
#[test]
fn parameters_of_the_path_and_json_of_other_names_count() {
    let body = json!({ "content": { "application/vnd.acme+json": { "schema": { "type": "object", "properties": {
        "name": { "type": "string" },
    } } } } });
    let imported = imported(document(json!({ "/things/{id}": {
        "parameters": [
            { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } },
            { "name": "dry", "in": "query", "schema": { "type": "string" } },
        ],
        "patch": { "operationId": "updateThing", "requestBody": body, "parameters": [
            { "name": "dry", "in": "query", "schema": { "type": "boolean" } },
        ] },
    } })));
    let sent = request(imported.tool(), &json!({ "id": 7, "dry": true, "name": "x" })).unwrap();
    assert_eq!(line(&sent), r#"PATCH /things/7?dry=true {"name":"x"}"#);
    assert_eq!(sent.body.unwrap().content_type, "application/vnd.acme+json");
}

/// agentgateway/agentgateway#377: a server without a host is found out at the first call.
#[test]
fn without_an_address_there_is_no_toolkit() {
    for server in [
        "/",
        "/v1",
        "http://api.acme-corp.com",
        "https://your-domain.acme-corp.com",
        "https://localhost:8080",
        "https://{host}",
    ] {
        let mut document = with_operation("get", "/things", json!({}));
        document["servers"] = json!([{ "url": server }]);
        let error = try_import(document, &Options { base_url: None, ..options() }).err();
        assert!(matches!(error, Some(ImportError::Server(_))) || server == "https://{host}", "{server} {error:?}");
    }
}

/// anthropics/claude-code#40075, makenotion/notion-mcp-server#341: combinators at the root.
#[test]
fn the_root_has_no_combinators() {
    let card = json!({ "type": "object", "required": ["kind", "number"], "properties": {
        "kind": { "const": "card" }, "number": { "type": "string" },
    } });
    let bank = json!({ "type": "object", "required": ["kind", "iban"], "properties": {
        "kind": { "const": "bank" }, "iban": { "type": "string" },
    } });
    for key in ["oneOf", "anyOf"] {
        let body = json!({ key: [card, bank], "discriminator": { "propertyName": "kind" }, "properties": {
            "note": { "type": "string" },
        } });
        let imported = imported(with_body(&body, json!({})));
        let schema = schema(imported.tool());
        assert_eq!(rules::broken(&schema), Vec::<String>::new());
        assert_eq!(schema["required"], json!(["kind"]), "{key}");
        assert_eq!(schema["properties"]["kind"]["enum"], json!(["card", "bank"]));
        for arguments in [json!({ "kind": "card", "number": "1" }), json!({ "kind": "bank", "iban": "2", "note": "x" })]
        {
            let sent = request(imported.tool(), &arguments).unwrap().body.unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&sent.bytes).unwrap(), arguments);
        }
    }
    let all = json!({ "allOf": [card, { "required": ["note"], "properties": { "note": { "type": "string" } } }] });
    let imported = imported(with_body(&all, json!({})));
    assert_eq!(schema(imported.tool())["required"], json!(["kind", "note", "number"]));
}

/// github/github-mcp-server#181: answers that are far too large. Where the document has pages, so has the tool.
#[test]
fn pages_are_recognized() {
    let query = |names: &[&str]| -> Value {
        names.iter().map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } })).collect()
    };
    let list = json!({ "type": "array", "items": { "type": "object", "properties": { "id": { "type": "string" } } } });
    let object = |members: &[&str]| {
        let mut properties = json!({ "data": list });
        for member in members {
            properties[*member] = json!({ "type": "string" });
        }
        json!({ "type": "object", "properties": properties })
    };
    for (names, answer, has_link, expected) in [
        (
            &["page", "per_page"][..],
            list.clone(),
            true,
            json!({ "style": "link", "argument": "page", "size": "per_page", "items": "" }),
        ),
        (
            &["page", "limit"],
            object(&[]),
            false,
            json!({ "style": "page", "argument": "page", "size": "limit", "items": "/data" }),
        ),
        (
            &["offset", "limit"],
            object(&[]),
            false,
            json!({ "style": "offset", "argument": "offset", "size": "limit", "items": "/data" }),
        ),
        (
            &["pageToken", "maxResults"],
            object(&["nextPageToken"]),
            false,
            json!({ "style": "cursor", "argument": "pageToken", "size": "maxResults", "items": "/data", "next": "/nextPageToken" }),
        ),
        (
            &["starting_after", "limit"],
            object(&["has_more"]),
            false,
            json!({ "style": "cursor", "argument": "starting_after", "size": "limit", "items": "/data", "last_item": "/id", "has_more": "/has_more" }),
        ),
        (&["q"], list.clone(), false, Value::Null),
    ] {
        let mut response = json!({ "content": { "application/json": { "schema": answer } } });
        if has_link {
            response["headers"] = json!({ "Link": { "schema": { "type": "string" } } });
        }
        let operation = json!({ "operationId": "list", "parameters": query(names), "responses": { "200": response } });
        let imported = imported(with_operation("get", "/things", operation));
        let tools: Value = toml::from_str(&imported.import.tools).unwrap();
        assert_eq!(tools["tools"][0]["paging"], expected, "{names:?}");
    }
}

/// What a tool does is said by its method and its words.
#[test]
fn effects_follow_the_method_and_the_words() {
    for (method, id, effect) in [
        ("get", "listThings", "Read"),
        ("post", "createThing", "Create"),
        ("post", "searchThings", "Read"),
        ("post", "things/query", "Read"),
        ("post", "listings_create", "Create"),
        ("post", "deleteThings", "Destructive"),
        ("post", "things.archive", "Destructive"),
        ("put", "replaceThing", "Update"),
        ("patch", "updateThing", "Update"),
        ("delete", "removeThing", "Destructive"),
    ] {
        let imported = imported(with_operation(method, "/things", json!({ "operationId": id })));
        assert_eq!(format!("{:?}", imported.tool().effect), effect, "{method} {id}");
    }
    let doubtful = imported(with_operation("get", "/things", json!({ "operationId": "deleteThings" })));
    let findings = &doubtful.import.report.findings;
    assert!(findings.iter().any(|finding| finding.message.contains("is a GET")), "{findings:?}");
}
