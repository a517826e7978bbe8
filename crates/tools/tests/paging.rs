//! Where the next page of a list begins, in each style, and how pages are joined.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use serde_json::{Value, json};
use switchboard_catalog::Tool;
use switchboard_tools::paging::{append, page};
use switchboard_tools::{ArgumentCheck, Arguments};

fn tool(paging: &str, input: &str) -> Tool {
    let text = format!(
        "slug = \"X_LIST\"\ntitle = \"List\"\ndescription = \"Lists.\"\nuse_cases = [\"a\", \"b\"]\neffect = \"read\"\n\
         method = \"GET\"\npath = \"/x\"\npaging = {paging}\n[input]\n{input}\n"
    );
    toml::from_str(&text).unwrap()
}

fn arguments(tool: &Tool, given: &Value) -> Arguments {
    ArgumentCheck::new(tool).unwrap().check(given.as_object().unwrap().clone()).unwrap()
}

/// The next position and the number of results.
fn next(tool: &Tool, given: &Value, body: &Value, link: Option<&str>) -> (Option<Value>, usize) {
    let page = page(tool, &arguments(tool, given), body, link).unwrap();
    (page.next, page.count)
}

const TEXT: &str = "position = { type = \"string\", description = \"Position.\", as = \"$skiptoken\" }";
const NUMBER: &str = "position = { type = \"integer\", description = \"Position.\" }\n\
    size = { type = \"integer\", description = \"Size.\", default = 2 }";

#[test]
fn a_cursor_is_in_the_answer() {
    let tool = tool(r#"{ style = "cursor", argument = "position", next = "/next", items = "/items" }"#, TEXT);
    let body = |next: Value| json!({ "items": [1, 2, 3], "next": next });
    assert_eq!(next(&tool, &json!({}), &body(json!("abc")), None), (Some(json!("abc")), 3));
    for none in [json!(""), Value::Null, json!(false)] {
        assert_eq!(next(&tool, &json!({}), &body(none), None), (None, 3));
    }
    let url = json!("https://graph.example.com/v1/x?$top=5&%24skiptoken=a%2Fb#c");
    assert_eq!(next(&tool, &json!({}), &body(url), None), (Some(json!("a/b")), 3));
    assert_eq!(next(&tool, &json!({}), &body(json!("https://graph.example.com/v1/x?$skip=5")), None), (None, 3));
    assert_eq!(page(&tool, &Arguments::default(), &json!({ "items": "none" }), None), None);
}

#[test]
fn a_cursor_may_be_in_the_last_result() {
    let paging =
        r#"{ style = "cursor", argument = "position", last_item = "/id", has_more = "/has_more", items = "/data" }"#;
    let tool = tool(paging, TEXT);
    let body = |has_more: Value| json!({ "data": [{ "id": "a" }, { "id": "b" }], "has_more": has_more });
    assert_eq!(next(&tool, &json!({}), &body(json!(true)), None), (Some(json!("b")), 2));
    assert_eq!(next(&tool, &json!({}), &body(json!(false)), None), (None, 2));
    assert_eq!(next(&tool, &json!({}), &json!({ "data": [], "has_more": true }), None), (None, 0));
}

#[test]
fn pages_and_offsets_are_counted() {
    let pages = tool(r#"{ style = "page", argument = "position", items = "", size = "size" }"#, NUMBER);
    assert_eq!(next(&pages, &json!({}), &json!([1, 2]), None), (Some(json!(2)), 2));
    assert_eq!(next(&pages, &json!({ "position": 4 }), &json!([1, 2]), None), (Some(json!(5)), 2));
    assert_eq!(next(&pages, &json!({}), &json!([1]), None), (None, 1), "a page that is not full is the last one");
    let offsets = tool(r#"{ style = "offset", argument = "position", items = "/value", size = "size" }"#, NUMBER);
    assert_eq!(next(&offsets, &json!({ "size": 3 }), &json!({ "value": [1, 2, 3] }), None), (Some(json!(3)), 3));
    assert_eq!(next(&offsets, &json!({ "position": 3 }), &json!({ "value": [1, 2] }), None), (Some(json!(5)), 2));
    assert_eq!(next(&offsets, &json!({ "position": 5 }), &json!({ "value": [] }), None), (None, 0));
}

#[test]
fn a_link_header_names_the_next_page() {
    let tool = tool(r#"{ style = "link", argument = "position", items = "", size = "size" }"#, NUMBER);
    let header = "<https://api.example.com/x?position=1>; rel=\"prev\", <https://api.example.com/x?a=b,c&position=3>; \
                  title=\"a, b\"; rel=\"last next\"";
    assert_eq!(next(&tool, &json!({}), &json!([1]), Some(header)), (Some(json!(3)), 1));
    for none in [None, Some(""), Some("<https://api.example.com/x?position=1>; rel=prev"), Some("<x; rel=next")] {
        assert_eq!(next(&tool, &json!({}), &json!([1]), none), (None, 1), "{none:?}");
    }
}

#[test]
fn pages_are_joined() {
    let tool = tool(r#"{ style = "page", argument = "position", items = "/a/b", size = "size" }"#, NUMBER);
    let mut first = json!({ "a": { "b": [1], "c": 1 } });
    assert_eq!(append(&tool, &mut first, &mut json!({ "a": { "b": [2, 3], "c": 2 } })), 2);
    assert_eq!(append(&tool, &mut first, &mut json!({ "a": {} })), 0);
    assert_eq!(first, json!({ "a": { "b": [1, 2, 3], "c": 1 } }));
}
