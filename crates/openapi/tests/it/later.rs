//! A later import of a newer document.

use serde_json::{Value, json};
use switchboard_openapi::{Import, Options, Previous, import};

use crate::support::{document, loaded, options};

fn list(description: &str, parameters: Value) -> Value {
    json!({ "get": { "operationId": "listThings", "description": description, "parameters": parameters } })
}

fn parameter(name: &str, required: bool) -> Value {
    json!({ "name": name, "in": "query", "required": required, "schema": { "type": "string" } })
}

fn previous(import: &Import) -> Previous {
    Previous {
        toolkit: Some(import.toolkit.clone()),
        tools: Some(import.tools.clone()),
        lock: Some(import.lock.clone()),
    }
}

fn first() -> Import {
    let paths = json!({ "/things": list("Lists.", json!([parameter("q", false), parameter("old", false)])), "/gone": { "get": { "operationId": "gone" } } });
    import(document(paths), &Previous::default(), &options()).unwrap()
}

fn later(paths: Value, previous: &Previous) -> Import {
    import(document(paths), previous, &Options { date: "20270101".to_owned(), ..options() }).unwrap()
}

fn slugs(import: &Import) -> Vec<String> {
    loaded(import, "acme").tools().iter().map(|tool| tool.slug.clone()).collect()
}

#[test]
fn the_same_document_changes_nothing() {
    let first = first();
    assert!(first.report.changes.is_none());
    let paths = json!({ "/things": list("Lists.", json!([parameter("q", false), parameter("old", false)])), "/gone": { "get": { "operationId": "gone" } } });
    let again = later(paths, &previous(&first));
    assert_eq!((&again.toolkit, &again.tools, &again.lock), (&first.toolkit, &first.tools, &first.lock));
    assert!(again.report.changes.unwrap().is_empty());
}

#[test]
fn a_newer_document_is_a_list_of_changes_and_renames_nothing() {
    let first = first();
    let mut renamed = list("Lists all.", json!([parameter("q", true), parameter("new", false)]));
    renamed["get"]["operationId"] = "queryEverything".into();
    let paths = json!({ "/things": renamed, "/added": { "delete": { "operationId": "listThings" } } });
    let later = later(paths, &previous(&first));
    assert_eq!(slugs(&later), ["ACME_LIST_THINGS", "ACME_LIST_THINGS_DELETE"]);
    assert!(later.toolkit.contains("version = \"20270101_00\""));
    let changes = later.report.changes.clone().unwrap();
    assert_eq!(changes.added, ["ACME_LIST_THINGS_DELETE"]);
    assert_eq!(changes.removed, ["ACME_GONE"]);
    assert_eq!(
        changes.changed[0].differences,
        [
            "argument `new` is new",
            "argument `old` is gone",
            "argument `q` is required now",
            "title is another one",
            "description is another one"
        ]
    );
    // What is gone keeps its name, if it comes back.
    let back = self::later(json!({ "/gone": { "get": { "operationId": "another" } } }), &previous(&later));
    assert_eq!(slugs(&back), ["ACME_GONE"]);
}

#[test]
fn names_of_arguments_stay() {
    let body = json!({ "required": true, "content": { "application/json": { "schema": { "type": "object", "properties": { "id": { "type": "string" } } } } } });
    let operation = |parameters: Value| json!({ "/a": { "post": { "operationId": "send", "requestBody": body, "parameters": parameters } } });
    let first = import(document(operation(json!([]))), &Previous::default(), &options()).unwrap();
    // A parameter that comes later would take the name, if it were not known.
    let later = later(operation(json!([parameter("id", false)])), &previous(&first));
    let toolkit = loaded(&later, "acme");
    let tool = &toolkit.tools()[0];
    let places: Vec<(&str, String)> = tool
        .input
        .iter()
        .map(|(name, argument)| (name.as_str(), format!("{:?}", tool.location(name, argument))))
        .collect();
    assert_eq!(places, [("id", "Body".to_owned()), ("id_query", "Query".to_owned())]);
    assert_eq!(later.report.changes.unwrap().changed[0].differences, ["argument `id_query` is new"]);
}

#[test]
fn what_people_have_changed_is_kept() {
    let first = first();
    let mut own = previous(&first);
    own.toolkit = own.toolkit.map(|text| text.replace("name = \"Acme\"", "name = \"Acme Inc.\""));
    let added = "\n[[tools]]\nslug = \"ACME_OWN\"\ntitle = \"Own\"\ndescription = \"Own.\"\nuse_cases = [\"A.\", \"B.\"]\neffect = \"read\"\nmethod = \"GET\"\npath = \"/own\"\n";
    own.tools = own.tools.map(|text| text.replace("Lists.", "Lists what I like.") + added);
    let paths = json!({ "/things": list("Lists anew.", json!([])), "/new": { "get": { "operationId": "new" } } });
    let later = later(paths, &own);
    assert_eq!(later.report.kept, ["ACME_LIST_THINGS", "ACME_OWN", "toolkit.toml"]);
    assert_eq!(slugs(&later), ["ACME_LIST_THINGS", "ACME_NEW", "ACME_OWN"]);
    assert!(later.tools.contains("Lists what I like.") && later.toolkit.contains("Acme Inc."));
    // Again, with the same result.
    let again = self::later(json!({ "/things": list("Lists anew.", json!([])) }), &previous(&later));
    assert!(again.tools.contains("Lists what I like.") && again.report.kept.contains(&"ACME_OWN".to_owned()));
}

#[test]
fn a_tool_that_was_deleted_does_not_come_back() {
    let first = first();
    let mut own = previous(&first);
    own.tools = own.tools.map(|text| {
        text.split("\n[[tools]]").filter(|tool| !tool.contains("ACME_GONE")).collect::<Vec<_>>().join("\n[[tools]]")
    });
    let paths = json!({ "/things": list("Lists.", json!([])), "/gone": { "get": { "operationId": "gone" } } });
    let later = later(paths, &own);
    assert_eq!(slugs(&later), ["ACME_LIST_THINGS"]);
    let reasons: Vec<&str> = later.report.skipped.iter().map(|skipped| skipped.reason.as_str()).collect();
    assert_eq!(reasons, ["ACME_GONE was deleted from tools.toml by hand"]);
}

#[test]
fn a_new_host_is_named() {
    let mut document = document(json!({ "/a": { "get": { "operationId": "a" } } }));
    document["servers"] = json!([{ "url": "https://api.acme-corp.com" }]);
    let options = Options { base_url: None, ..options() };
    let first = import(document.clone(), &Previous::default(), &options).unwrap();
    document["paths"]["/b"] =
        json!({ "get": { "operationId": "b", "servers": [{ "url": "https://evil.acme-corp.com" }] } });
    let later = import(document, &previous(&first), &options).unwrap();
    assert_eq!(later.report.changes.unwrap().added_hosts, ["evil.acme-corp.com"]);
}
