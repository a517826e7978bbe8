//! Documents that are no documents, or that are made to be too much.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use switchboard_openapi::{Auth, ImportError, MAX_BYTES, Options, Previous, ReadError, bundle, import, read};

use crate::support::{
    document, imported, line, options, request, rules, schema, try_import, with_body, with_operation,
};

fn malformed(text: &str) -> String {
    match read(text.as_bytes()) {
        Err(error @ ReadError::Malformed { .. }) => error.to_string(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn yaml_is_read_by_its_core_schema() {
    let text = "
openapi: 3.0.0 # a version is no number
info: &info {title: 'A ''b''', version: \"1.0\\n\"}
paths:
  /a:
    get:
      responses: {200: {description: ok}, default: ~}
numbers: [1, -2, 1.5, 1e3, 0x1f, 0o17, 007, +3]
texts: [yes, 2020-01-01, 1.2.3, '1', \"true\", '', .]
others: [true, False, null, ~, ]
block: |
  one
  two
folded: >-
  one
  two
again: *info
merged:
  <<: *info
  title: B
tagged: !!str 12
";
    let expected = json!({
        "openapi": "3.0.0",
        "info": { "title": "A 'b'", "version": "1.0\n" },
        "paths": { "/a": { "get": { "responses": { "200": { "description": "ok" }, "default": null } } } },
        "numbers": [1, -2, 1.5, 1000.0, 31, 15, 7, 3],
        "texts": ["yes", "2020-01-01", "1.2.3", "1", "true", "", "."],
        "others": [true, false, null, null],
        "block": "one\ntwo\n",
        "folded": "one two",
        "again": { "title": "A 'b'", "version": "1.0\n" },
        "merged": { "title": "B", "version": "1.0\n" },
        "tagged": "12",
    });
    assert_eq!(read(text.as_bytes()).unwrap(), expected);
}

#[test]
fn yaml_cannot_be_made_large_or_strange() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for number in 1..12 {
        let aliases = vec![format!("*a{}", number - 1); 10].join(", ");
        bomb = format!("{bomb}a{number}: &a{number} [{aliases}]\n");
    }
    assert!(malformed(&bomb).contains("aliases copy too many values at line"));
    assert!(malformed("a: 1\na: 2\n").contains("a key stands twice in a mapping at line 2"));
    assert!(malformed("a: !!python/object:os.system x").contains("a tag is not read at line 1"));
    assert!(malformed("a: !custom {b: 1}").contains("a tag is not read"));
    assert!(malformed("[a, b]: c").contains("the key of a mapping is no text"));
    assert!(malformed("a: *b").starts_with("the document is not YAML: "));
    assert!(malformed("").contains("empty"));
    assert!(malformed("a: [1").starts_with("the document is not YAML: "));
    let deep = "[".repeat(100_000);
    assert!(malformed(&deep).contains("recursion limit"));
    let deep: String = (0..100).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(read(deep.as_bytes()), Err(ReadError::TooDeep));
}

#[test]
fn json_cannot_be_too_large_or_too_deep() {
    assert_eq!(read(&vec![b' '; MAX_BYTES + 1]), Err(ReadError::TooLarge(MAX_BYTES + 1)));
    assert_eq!(read(b"\xff{"), Err(ReadError::NotText));
    let deep = format!("{}1{}", r#"{"a":"#.repeat(70), "}".repeat(70));
    assert_eq!(read(deep.as_bytes()), Err(ReadError::TooDeep));
    let many = format!(r#"{{"a":[{}1]}}"#, "1,".repeat(6_100_000));
    assert_eq!(read(many.as_bytes()), Err(ReadError::TooMany));
    assert!(malformed("{\"a\": }").contains("line 1 column 7"));
    assert_eq!(read("\u{feff}{}".as_bytes()), Ok(json!({})));
}

fn error(document: Value, options: &Options) -> String {
    import(document, &Previous::default(), options).err().unwrap().to_string()
}

#[test]
fn what_cannot_be_imported_says_what_to_change() {
    let given = || options();
    assert!(error(json!({ "swagger": "2.0" }), &given()).contains("convert it to OpenAPI 3 first"));
    assert!(error(json!({ "openapi": "4.0.0" }), &given()).contains("no OpenAPI 3 document"));
    assert!(error(json!([1]), &given()).contains("no OpenAPI 3 document"));
    assert!(error(document(json!({})), &given()).starts_with("no operation can be imported"));
    for slug in ["", "Acme", "1a", "a-b", "a".repeat(25).as_str()] {
        let options = Options { slug: slug.to_owned(), ..given() };
        assert!(matches!(try_import(document(json!({})), &options).err(), Some(ImportError::Slug)), "{slug}");
    }
    let one = with_operation("get", "/a", json!({ "operationId": "getA" }));
    let without_auth = error(one.clone(), &Options { auth: None, ..given() });
    assert!(without_auth.contains("--auth none, bearer, basic, header:NAME or query:NAME"), "{without_auth}");
    let plain = error(one.clone(), &Options { base_url: Some("http://api.acme.test".to_owned()), ..given() });
    assert!(plain.contains("it also answers https"), "{plain}");
    let foreign = Previous { toolkit: Some("slug = \"acme\"".to_owned()), ..Previous::default() };
    assert!(matches!(import(one, &foreign, &given()).err(), Some(ImportError::NotImported)));
    assert_eq!(
        "digest".parse::<Auth>().unwrap_err(),
        "\"digest\" is none of none, bearer, basic, header:NAME and query:NAME"
    );
}

/// wso2/api-manager#5189: chains and widths that take all memory or all time.
#[test]
fn schemas_that_multiply_are_refused_or_cut() {
    let reference = |name: usize| json!({ "$ref": format!("#/components/schemas/S{name}") });
    let chain = |make: &dyn Fn(usize) -> Value| -> Value {
        (0..3_000)
            .map(|number| (format!("S{number}"), make(number + 1)))
            .chain([("S3000".to_owned(), json!({ "type": "string" }))])
            .collect()
    };
    for schemas in [
        chain(&|next| reference(next)),
        chain(&|next| json!({ "allOf": [reference(next), reference(next)] })),
        chain(
            &|next| json!({ "oneOf": [reference(next), reference(next), { "type": "object", "properties": { "a": reference(next) } }] }),
        ),
        chain(&|next| json!({ "type": "array", "items": reference(next) })),
        chain(
            &|next| json!({ "type": "object", "properties": { "a": reference(next), "b": reference(next), "c": reference(next) } }),
        ),
        chain(&|next| json!({ "anyOf": (0..40).map(|_| reference(next)).collect::<Vec<_>>() })),
    ] {
        let start = Instant::now();
        match try_import(with_body(&reference(0), schemas), &options()) {
            Ok(imported) => assert_eq!(rules::broken(&schema(imported.tool())), Vec::<String>::new()),
            Err(error) => assert!(error.to_string().starts_with("no operation can be imported: "), "{error}"),
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[test]
fn what_has_no_room_stays_reachable() {
    let properties: Value = (0..400)
        .map(|number| {
            (format!("field_{number:03}"), json!({ "type": "string", "description": "One of many fields of it." }))
        })
        .chain([("id".to_owned(), json!({ "type": "string" }))])
        .collect();
    let body = json!({ "type": "object", "required": ["field_399"], "properties": properties });
    let imported = imported(with_body(&body, json!({})));
    let tool = imported.tool();
    assert!(tool.input_schema.get().len() <= 24 * 1024, "{}", tool.input_schema.get().len());
    assert!(
        tool.input.contains_key("field_399") && tool.input.contains_key("id") && !tool.input.contains_key("field_398")
    );
    let arguments = json!({ "field_399": "a", "additional_fields": { "field_398": "b" } });
    let sent = request(tool, &arguments).unwrap();
    assert_eq!(line(&sent), r#"POST /things {"field_398":"b","field_399":"a"}"#);
    assert_eq!(line(&request(tool, &json!({ "field_399": "a" })).unwrap()), r#"POST /things {"field_399":"a"}"#);
}

#[test]
fn texts_are_one_line_without_markup_and_hidden_letters() {
    let hidden = "Reads\u{200b} a\u{202e} thing.\u{e0041}\n\n<b>See</b> [the guide](https://x.test/y) &amp; `more`.\u{7}\r\n# Title\n---";
    let imported = imported(with_operation(
        "get",
        "/a",
        json!({ "operationId": "getA", "summary": "  Get\ta thing ", "description": hidden }),
    ));
    let tool = imported.tool();
    assert_eq!(tool.title, "Get a thing");
    assert_eq!(tool.description, "Get a thing. Reads a thing. See the guide & `more`. Title.");
    let long = "word ".repeat(1_000);
    let long = crate::support::imported(with_operation(
        "get",
        "/a",
        json!({ "description": long, "parameters": [
        { "name": "q", "in": "query", "description": long, "schema": { "type": "string" } },
    ] }),
    ));
    assert!(long.tool().description.chars().count() <= 1_024);
    assert!(schema(long.tool())["properties"]["q"]["description"].as_str().unwrap().chars().count() <= 300);
}

#[test]
fn other_files_are_read_only_if_they_are_given() {
    let main = with_operation(
        "get",
        "/a",
        json!({ "operationId": "getA", "parameters": [
        { "$ref": "./parts/common.yaml#/parameters/Limit" },
    ] }),
    );
    let skipped = try_import(main.clone(), &options()).err().unwrap().to_string();
    assert_eq!(
        skipped,
        "no operation can be imported: `./parts/common.yaml#/parameters/Limit` is in another document, which was not given"
    );
    let common = json!({ "parameters": { "Limit": { "name": "limit", "in": "query", "schema": { "$ref": "../types.yaml#/Limit" } } } });
    let types = json!({ "Limit": { "$ref": "#/Number" }, "Number": { "type": "integer", "description": "How many." } });
    let files = [("parts/common.yaml".to_owned(), common), ("types.yaml".to_owned(), types)];
    let imported = imported(bundle(main, files.into()));
    assert_eq!(
        schema(imported.tool())["properties"]["limit"],
        json!({ "type": "integer", "description": "How many." })
    );
}

#[test]
fn operations_are_chosen_by_tag_path_and_id() {
    let paths = json!({
        "/a": { "get": { "operationId": "listA", "tags": ["Alpha"] }, "post": { "operationId": "createA", "tags": ["Alpha"] } },
        "/b/{id}": { "get": { "operationId": "getB", "tags": ["Beta"] }, "head": { "operationId": "headB" } },
    });
    let chosen = |include: &[&str], exclude: &[&str], limit| {
        let texts = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect();
        let options = Options { include: texts(include), exclude: texts(exclude), limit, ..options() };
        let imported = try_import(document(paths.clone()), &options).unwrap();
        imported.slugs().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&[], &[], None), ["ACME_CREATE_A", "ACME_GET_B", "ACME_LIST_A"]);
    assert_eq!(chosen(&["alpha"], &[], None), ["ACME_CREATE_A", "ACME_LIST_A"]);
    assert_eq!(chosen(&["/b/*"], &[], None), ["ACME_GET_B"]);
    assert_eq!(chosen(&["list*", "get*"], &["/a"], None), ["ACME_GET_B"]);
    assert_eq!(chosen(&["GET *"], &[], Some(1)), ["ACME_LIST_A"]);
    let all = imported(document(paths.clone()));
    assert_eq!(all.skipped(), ["HEAD /b/{id}: HEAD has no answer for a model"]);
}
