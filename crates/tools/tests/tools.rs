//! From arguments to a request, and from an answer to a result.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use bytes::Bytes;
use serde_json::{Map, Value, json};
use switchboard_catalog::Tool;
use switchboard_tools::{ArgumentCheck, File, Files, ProviderAnswer, ToolRequest, build, read};

/// A tool of the smallest keys and others.
fn tool(method: &str, path: &str, more: &str) -> Tool {
    toml::from_str(&format!(
        "slug = \"T\"\ntitle = \"T\"\ndescription = \"T\"\nuse_cases = []\neffect = \"create\"\nmethod = \"{method}\"\n\
         path = \"{path}\"\n{more}"
    ))
    .unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// The mistakes in arguments.
fn mistakes(tool: &Tool, arguments: Value) -> Vec<String> {
    let check = ArgumentCheck::new(tool).unwrap();
    check.check(object(arguments)).unwrap_err().iter().map(ToString::to_string).collect()
}

fn request_with(tool: &Tool, arguments: Value, files: &Files) -> ToolRequest {
    let arguments = ArgumentCheck::new(tool).unwrap().check(object(arguments)).unwrap();
    build(tool, &arguments, files).unwrap()
}

fn request(tool: &Tool, arguments: Value) -> ToolRequest {
    request_with(tool, arguments, &Files::new())
}

fn body(request: &ToolRequest) -> Value {
    let body = request.body.as_ref().unwrap();
    assert_eq!(body.content_type, "application/json");
    serde_json::from_slice(&body.bytes).unwrap()
}

fn query(request: &ToolRequest) -> String {
    request.query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[test]
fn each_mistake_names_the_argument_and_what_is_expected() {
    let tool = tool(
        "POST",
        "/a",
        r#"
        [input]
        title = { type = "string", description = "x", required = true, minLength = 2, maxLength = 4 }
        count = { type = "integer", description = "x", minimum = 1, maximum = 9 }
        state = { type = "string", description = "x", enum = ["open", "closed"] }
        labels = { type = "array", description = "x", maxItems = 2, items = { type = "string" } }
        due = { type = "string", description = "x", format = "date" }
        code = { type = "string", description = "x", pattern = "^[a-z]+$" }
        owner = { type = "object", description = "x", required = true, properties = { name = { type = "string", description = "x" } } }
        "#,
    );
    let valid = json!({ "title": "abc", "owner": {} });
    let wrong = |name: &str, value: Value| {
        let mut arguments = valid.clone();
        arguments[name] = value;
        mistakes(&tool, arguments)
    };
    assert_eq!(mistakes(&tool, json!({ "owner": {} })), ["`title` is required"]);
    assert_eq!(wrong("title", json!(["a"])), ["`title` must be of type string, not array"]);
    assert_eq!(wrong("title", json!("a")), ["`title` must have at least 2 characters"]);
    assert_eq!(wrong("title", json!("abcde")), ["`title` must have at most 4 characters"]);
    assert_eq!(wrong("count", json!(0)), ["`count` must be at least 1"]);
    assert_eq!(wrong("count", json!(10)), ["`count` must be at most 9"]);
    assert_eq!(wrong("count", json!("many")), ["`count` must be of type integer, not string"]);
    assert_eq!(wrong("state", json!("gone")), ["`state` must be one of open, closed"]);
    assert_eq!(wrong("labels", json!(["a", 1])), ["`labels[1]` must be of type string, not integer"]);
    assert_eq!(wrong("labels", json!(["a", "b", "c"])), ["`labels` must have at most 2 items"]);
    assert_eq!(wrong("due", json!("tomorrow")), ["`due` must have the format date"]);
    assert_eq!(wrong("code", json!("A1")), ["`code` must match the pattern ^[a-z]+$"]);
    assert_eq!(wrong("owner", json!({ "nam": "x" })), ["`owner` has members that it cannot have: nam"]);
    assert_eq!(wrong("lables", json!(["a"])), ["`lables` is no argument of this tool; did you mean `labels`?"]);
    assert_eq!(
        wrong("zzz", json!(1)),
        ["`zzz` is no argument of this tool, which has code, count, due, labels, owner, state, title"]
    );
}

#[test]
fn arguments_are_taken_as_models_write_them() {
    let tool = tool(
        "POST",
        "/a",
        r#"
        [input]
        labels = { type = "array", description = "x", items = { type = "string" } }
        owner = { type = "object", description = "x", properties = { name = { type = "string", description = "x" } } }
        note = { type = "string", description = "x" }
        size = { type = "integer", description = "x", default = 3 }
        cleared = { description = "x", anyOf = [{ type = "string" }, { type = "null" }] }
        "#,
    );
    let sent = |arguments| body(&request(&tool, arguments));
    // Null is absence where it has no meaning of its own, lists and objects may be JSON text, defaults are sent.
    assert_eq!(sent(json!({ "note": null })), json!({ "size": 3 }));
    assert_eq!(
        sent(json!({ "labels": "[\"a\",\"b\"]", "owner": "{\"name\":\"x\"}", "size": 4 })),
        json!({ "labels": ["a", "b"], "owner": { "name": "x" }, "size": 4 })
    );
    assert_eq!(sent(json!({ "cleared": null })), json!({ "cleared": null, "size": 3 }));
    assert_eq!(sent(json!({ "size": 7.0, "note": 1_234_567 })), json!({ "size": 7, "note": "1234567" }));
    assert_eq!(mistakes(&tool, json!({ "note": 1.5 })), ["`note` must be of type string, not number"]);
    // A text stays a text, also if it looks like JSON.
    assert_eq!(sent(json!({ "note": "[1]" })), json!({ "note": "[1]", "size": 3 }));
}

#[test]
fn values_go_to_their_places_encoded_for_them() {
    let tool = tool(
        "PUT",
        "/a/{id}/b",
        r#"
        query = { fixed = "1", search = "name:{name}" }
        headers = { X-Fixed = "2", X-Name = "{missing}" }
        wrap = "/data"
        [input]
        id = { type = "string", description = "x", required = true }
        q = { type = "array", description = "x", items = { type = "string" }, in = "query", style = "repeated", as = "$q" }
        trace = { type = "integer", description = "x", in = "header", as = "X-Trace" }
        deep = { type = "string", description = "x", as = "message.raw" }
        flat = { type = "boolean", description = "x" }
        name = { type = "string", description = "x" }
        missing = { type = "string", description = "x" }
        "#,
    );
    let sent = request(
        &tool,
        json!({ "id": "x/y ?é", "q": ["a&b", "c"], "trace": 7, "deep": "d", "flat": true, "name": "n" }),
    );
    assert_eq!(sent.endpoint, "/a/x%2Fy%20%3F%C3%A9/b");
    assert_eq!(query(&sent), "fixed=1&search=name:n&$q=a&b&$q=c");
    assert_eq!(sent.headers.get("x-fixed").unwrap(), "2");
    assert_eq!(sent.headers.get("x-trace").unwrap(), "7");
    assert!(!sent.headers.contains_key("x-name"));
    assert_eq!(body(&sent), json!({ "data": { "flat": true, "message": { "raw": "d" } } }));
    for dots in [".", "..", "", "a/../b", "a/."] {
        let arguments = ArgumentCheck::new(&tool).unwrap().check(object(json!({ "id": dots }))).unwrap();
        let mistake = build(&tool, &arguments, &Files::new()).unwrap_err();
        assert_eq!(
            mistake.to_string(),
            "`id` stands in the path: it must not be empty or have `.` or `..` between slashes"
        );
    }
    let arguments = ArgumentCheck::new(&tool).unwrap().check(object(json!({ "id": "1", "missing": "a\r\nb" })));
    let mistake = build(&tool, &arguments.unwrap(), &Files::new()).unwrap_err();
    assert_eq!(mistake.message, "goes to a header: it must be visible ASCII characters on one line");
}

#[test]
fn a_template_is_filled_and_what_has_no_value_is_left_out() {
    let tool = tool(
        "POST",
        "/a",
        r#"
        [template]
        parent = { page = "{parent}" }
        title = [{ text = { content = "About {title}" } }]
        to = { "$each" = "to", item = { address = "{item}", kind = "mail" } }
        kind = { "$choose" = "is_html", true = "HTML", false = "Text" }
        size = "{size}"
        file = { "$base64" = "{content}" }
        end = { "$after" = { start = "{start}", hours = "{hours}", minutes = "{minutes}" } }
        fixed = { a = 1 }
        brace = "{{x}"
        [input]
        parent = { type = "string", description = "x" }
        title = { type = "string", description = "x" }
        to = { type = "array", description = "x", items = { type = "string" } }
        is_html = { type = "boolean", description = "x" }
        size = { type = "integer", description = "x" }
        content = { type = "string", description = "x" }
        start = { type = "string", description = "x" }
        hours = { type = "integer", description = "x" }
        minutes = { type = "integer", description = "x" }
        more = { type = "string", description = "x" }
        "#,
    );
    assert_eq!(body(&request(&tool, json!({}))), json!({ "brace": "{x}", "fixed": { "a": 1 } }));
    let all = json!({
        "parent": "p", "title": "t", "to": ["a@x.example", "b@x.example"], "is_html": false, "size": 7,
        "content": "hé", "start": "2026-12-31T23:30:00", "hours": 1, "minutes": 15, "more": "m",
    });
    assert_eq!(
        body(&request(&tool, all)),
        json!({
            "parent": { "page": "p" }, "title": [{ "text": { "content": "About t" } }],
            "to": [{ "address": "a@x.example", "kind": "mail" }, { "address": "b@x.example", "kind": "mail" }],
            "kind": "Text", "size": 7, "file": "aMOp", "end": "2027-01-01T00:45:00", "fixed": { "a": 1 },
            "brace": "{x}", "more": "m",
        })
    );
    let with_offset = json!({ "start": "2026-12-31T23:30:00+02:00", "hours": 2 });
    assert_eq!(body(&request(&tool, with_offset))["end"], "2027-01-01T01:30:00+02:00");
}

#[test]
fn forms_parts_and_files_are_written() {
    let form = tool(
        "POST",
        "/a",
        r#"
        body = "form"
        [input]
        items = { type = "array", description = "x", style = "brackets", items = { type = "object", properties = { price = { type = "string", description = "x" } } } }
        meta = { type = "object", description = "x", style = "deep_object", additionalProperties = { type = "string" } }
        on = { type = "boolean", description = "x", as = "On" }
        "#,
    );
    let sent = request(&form, json!({ "items": [{ "price": "p 1" }], "meta": { "k": "v&" }, "on": true }));
    let body = sent.body.unwrap();
    assert_eq!(body.content_type, "application/x-www-form-urlencoded");
    assert_eq!(body.bytes, "items%5B0%5D%5Bprice%5D=p+1&meta%5Bk%5D=v%26&On=true");

    let parts = tool(
        "POST",
        "/a",
        r#"
        body = "multipart"
        [input]
        name = { type = "string", description = "x" }
        file = { type = "string", description = "x", file_uploadable = true }
        "#,
    );
    let file = File { name: "a\"b\r\n.txt".to_owned(), media_type: "text/plain".to_owned(), bytes: Bytes::from("hi") };
    let files = Files::from([("file".to_owned(), file.clone())]);
    let sent = request_with(&parts, json!({ "name": "n", "file": "key" }), &files).body.unwrap();
    let boundary = sent.content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert_eq!(
        String::from_utf8(sent.bytes.to_vec()).unwrap(),
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22b  .txt\"\r\n\
             Content-Type: text/plain\r\n\r\nhi\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n\
             n\r\n--{boundary}--\r\n"
        )
    );
    let again = request_with(&parts, json!({ "name": "n", "file": "key" }), &files).body.unwrap();
    assert_eq!(sent.bytes, again.bytes, "a dry run shows what is sent");

    let raw = tool(
        "PUT",
        "/a",
        "body = \"file\"\n[input]\nfile = { type = \"string\", description = \"x\", file_uploadable = true }",
    );
    let sent = request_with(&raw, json!({ "file": "key" }), &files).body.unwrap();
    assert_eq!((sent.bytes, sent.content_type.as_str()), (Bytes::from("hi"), "text/plain"));
}

#[test]
fn a_message_has_its_headers_and_none_that_a_value_adds() {
    use base64::Engine;
    let tool = tool(
        "POST",
        "/a",
        r#"
        [template]
        raw = { "$mime" = { to = "{to}", cc = "{cc}", subject = "{subject}", text = "{text}", is_html = "{is_html}" } }
        [input]
        to = { type = "string", description = "x", required = true }
        cc = { type = "array", description = "x", items = { type = "string" } }
        subject = { type = "string", description = "x" }
        text = { type = "string", description = "x" }
        is_html = { type = "boolean", description = "x", default = false }
        "#,
    );
    let message = |arguments| {
        let raw = body(&request(&tool, arguments))["raw"].as_str().unwrap().to_owned();
        String::from_utf8(base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(raw).unwrap()).unwrap()
    };
    let sent = message(json!({
        "to": "Ada <ada@example.com>", "cc": ["b@example.com", "c@example.com"], "subject": "Hi", "text": "<b>x</b>", "is_html": true,
    }));
    assert!(sent.contains("To: \"Ada\" <ada@example.com>\r\n"), "{sent}");
    assert!(
        sent.contains("Cc: <b@example.com>, <c@example.com>\r\n")
            || sent.contains("Cc: b@example.com, c@example.com\r\n"),
        "{sent}"
    );
    assert!(sent.contains("Subject: Hi\r\n") && sent.contains("text/html") && sent.contains("<b>x</b>"), "{sent}");
    let wrong = |arguments: Value| {
        let arguments = ArgumentCheck::new(&tool).unwrap().check(object(arguments)).unwrap();
        build(&tool, &arguments, &Files::new()).unwrap_err().message
    };
    assert_eq!(
        wrong(json!({ "to": "a@b.c", "subject": "x\r\nBcc: e@evil.example" })),
        "the subject of a message is one line"
    );
    assert_eq!(wrong(json!({ "to": "a@b.c\r\nBcc: e@evil.example" })), "`to` must be e-mail addresses");
    assert_eq!(wrong(json!({ "to": "not-an-address" })), "`to` must be e-mail addresses");
}

/// The result of an answer, or the failure's message and data.
fn outcome(tool: &Tool, status: u16, body: Value) -> Result<Value, (Option<String>, Value)> {
    let answer = ProviderAnswer { status, json: Some(body), text: None, is_page: false };
    read(tool, answer).map(Value::Object).map_err(|failure| (failure.message, Value::Object(failure.data)))
}

#[test]
fn a_result_is_an_object_of_what_the_tool_returns() {
    let plain = tool("GET", "/a", "");
    assert_eq!(outcome(&plain, 200, json!({ "a": 1 })), Ok(json!({ "a": 1 })));
    assert_eq!(outcome(&plain, 200, json!([1, 2])), Ok(json!({ "items": [1, 2] })));
    assert_eq!(outcome(&plain, 200, json!("x")), Ok(json!({ "value": "x" })));
    assert_eq!(outcome(&plain, 204, Value::Null), Ok(json!({})));
    let text = ProviderAnswer { status: 200, text: Some("hi"), ..ProviderAnswer::default() };
    assert_eq!(read(&plain, text), Ok(object(json!({ "text": "hi" }))));
    let pointed = tool("GET", "/a", "result = \"/data/list\"");
    assert_eq!(outcome(&pointed, 200, json!({ "data": { "list": [1] } })), Ok(json!({ "items": [1] })));
    let trimmed = tool(
        "GET",
        "/a",
        r#"
        trim = true
        [output]
        id = { type = "integer", description = "x" }
        owner = { type = "object", description = "x", properties = { name = { type = "string", description = "x" } } }
        tags = { type = "array", description = "x", items = { type = "object", properties = { name = { type = "string", description = "x" } } } }
        "#,
    );
    let big = json!({ "id": 1, "url": "x", "owner": { "name": "n", "id": 2 }, "tags": [{ "name": "t", "color": "c" }], "none": null });
    assert_eq!(
        outcome(&trimmed, 200, big),
        Ok(json!({ "id": 1, "owner": { "name": "n" }, "tags": [{ "name": "t" }] }))
    );
    let list = tool(
        "GET",
        "/a",
        "trim = true\n[output]\nitems = { type = \"array\", description = \"x\", items = { type = \"object\", properties = { id = { type = \"integer\", description = \"x\" } } } }",
    );
    assert_eq!(outcome(&list, 200, json!([{ "id": 1, "x": 2 }])), Ok(json!({ "items": [{ "id": 1 }] })));
}

#[test]
fn base64_that_is_a_text_is_returned_as_one() {
    let mail = tool("GET", "/a", "decode = [\"data\"]");
    let answer = json!({
        "id": "aGk", "parts": [{ "body": { "data": "aMOpPz8_" } }, { "body": { "data": "_w" } }], "data": ["aGk=", "aG\r\nk=", "a Gk"],
    });
    let expected = json!({
        "id": "aGk", "parts": [{ "body": { "data": "hé???" } }, { "body": { "data": "_w" } }], "data": ["hi", "hi", "a Gk"],
    });
    assert_eq!(outcome(&mail, 200, answer), Ok(expected));
}

#[test]
fn a_failure_has_the_words_of_the_provider() {
    let plain = tool("GET", "/a", "");
    let message = |status, body| outcome(&plain, status, body).unwrap_err().0;
    for body in [
        json!({ "message": "no" }),
        json!({ "error": { "message": "no" } }),
        json!({ "errors": [{ "message": "no" }] }),
        json!({ "error": "code", "error_description": "no" }),
        json!({ "errors": ["no"] }),
        json!({ "error": "no" }),
        json!({ "errorMessages": ["no"] }),
        json!([{ "message": "no" }]),
    ] {
        assert_eq!(message(422, body.clone()).as_deref(), Some("no"), "{body}");
    }
    assert_eq!(message(500, json!({ "x": 1 })), None);
    let page = ProviderAnswer { status: 502, text: Some("<html>"), is_page: true, ..ProviderAnswer::default() };
    assert_eq!(read(&plain, page).unwrap_err().message, None);
    let rule = tool("GET", "/a", "error_when = { pointer = \"/ok\", differs = true, message = \"/error\" }");
    assert_eq!(outcome(&rule, 200, json!({ "ok": true, "a": 1 })), Ok(json!({ "ok": true, "a": 1 })));
    for body in [json!({ "ok": false, "error": "no" }), json!({ "error": "no" })] {
        assert_eq!(outcome(&rule, 200, body.clone()), Err((Some("no".to_owned()), body)));
    }
    let graphql = tool("POST", "/a", "graphql = \"query { a }\"\nresult = \"/a\"");
    assert_eq!(outcome(&graphql, 200, json!({ "data": { "a": { "b": 1 } } })), Ok(json!({ "b": 1 })));
    let failed = json!({ "data": null, "errors": [{ "message": "no" }] });
    assert_eq!(outcome(&graphql, 200, failed.clone()), Err((Some("no".to_owned()), failed)));
}

#[test]
fn a_query_of_graphql_is_sent_with_its_variables() {
    let tool = tool(
        "POST",
        "/graphql",
        "graphql = \"query A($id: ID!) { a(id: $id) }\"\n[template]\ninput = { title = \"{title}\" }\n[input]\n\
         issue_id = { type = \"string\", description = \"x\", as = \"id\" }\ntitle = { type = \"string\", description = \"x\" }",
    );
    assert_eq!(
        body(&request(&tool, json!({ "issue_id": "1", "title": "t" }))),
        json!({ "query": "query A($id: ID!) { a(id: $id) }", "variables": { "id": "1", "input": { "title": "t" } } })
    );
    assert_eq!(
        body(&request(&tool, json!({}))),
        json!({ "query": "query A($id: ID!) { a(id: $id) }", "variables": {} })
    );
}
