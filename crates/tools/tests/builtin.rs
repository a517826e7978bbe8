//! Every built-in tool makes a request from arguments, with all of them and with the required ones alone.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop where it stands")]

use bytes::Bytes;
use serde_json::{Map, Value, json};
use switchboard_catalog::{Catalog, Location, Tool};
use switchboard_tools::{ArgumentCheck, Arguments, File, Files, build};

/// A value that fits a schema.
fn sample(schema: &Map<String, Value>) -> Value {
    if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
        return sample(options[0].as_object().expect("a schema"));
    }
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    match schema["type"].as_str().expect("one type") {
        "string" => json!(text(schema)),
        "integer" => {
            #[expect(clippy::cast_possible_truncation, reason = "bounds are small")]
            let least = number("minimum").unwrap_or(1.0).max(1.0).min(number("maximum").unwrap_or(1e9)) as i64;
            json!(least)
        }
        "number" => json!(number("minimum").unwrap_or(1.0)),
        "boolean" => json!(true),
        "array" => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).max(1);
            let item = sample(schema["items"].as_object().expect("a schema"));
            Value::Array((0..least).map(|_| item.clone()).collect())
        }
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            let members = properties.iter().map(|(name, member)| (name.clone(), sample(member.as_object().unwrap())));
            Value::Object(members.collect())
        }
    }
}

fn text(schema: &Map<String, Value>) -> String {
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return first.as_str().unwrap().to_owned();
    }
    if let Some(default) = schema.get("default").and_then(Value::as_str) {
        return default.to_owned();
    }
    let by_format = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => Some("2026-12-31T09:30:00Z"),
        Some("date") => Some("2026-12-31"),
        Some("time") => Some("09:30:00Z"),
        Some("email") => Some("ada@example.com"),
        Some("uuid") => Some("01890a5d-ac96-774b-bcce-b302099a8057"),
        Some("duration") => Some("PT1H"),
        Some("hostname") => Some("example.com"),
        Some("ipv4") => Some("192.0.2.1"),
        _ => None,
    };
    if let Some(text) = by_format {
        return text.to_owned();
    }
    let candidates = [
        "ada@example.com",
        "2026-12-31T09:30:00",
        "2026-12-31",
        "+14155550100",
        "note_1",
        "SM00000000000000000000000000000000",
        "CA00000000000000000000000000000000",
        "1",
        "refs/heads/abc",
        "abc",
        "ABC",
        "C0123ABCD",
        "1700000000.000100",
        "https://example.com",
        "#aabbcc",
        "12:30",
        "en",
        "US",
        "usd",
    ];
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
    let most = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let compiled = pattern.map(|pattern| regex_lite::Regex::new(pattern).unwrap());
    let fits = |text: &str| {
        let length = text.chars().count() as u64;
        (least..=most).contains(&length) && compiled.as_ref().is_none_or(|compiled| compiled.is_match(text))
    };
    candidates
        .into_iter()
        .find(|text| fits(text))
        .map_or_else(|| "x".repeat(usize::try_from(least).unwrap()), str::to_owned)
}

/// Arguments that fit, and the files among them.
fn arguments(tool: &Tool, only_required: bool) -> Result<(Arguments, Files), String> {
    let mut given = Map::new();
    let mut files = Files::new();
    for (name, argument) in &tool.input {
        if only_required && !argument.required {
            continue;
        }
        if argument.schema.get("file_uploadable") == Some(&Value::Bool(true)) {
            let file = File { name: "a.txt".to_owned(), media_type: "text/plain".to_owned(), bytes: Bytes::from("a") };
            files.insert(name.clone(), file);
        }
        let is_plain_time =
            name.contains("datetime") && ["format", "enum"].iter().all(|key| !argument.schema.contains_key(*key));
        let value = if is_plain_time { json!("2026-12-31T09:30:00") } else { sample(&argument.schema) };
        given.insert(name.clone(), value);
    }
    let check = ArgumentCheck::new(tool).unwrap_or_else(|error| panic!("{}: {error}", tool.slug));
    let checked = check.check(tool, given).map_err(|mistakes| format!("{}: {mistakes:?}", tool.slug))?;
    Ok((checked, files))
}

#[test]
fn every_tool_makes_a_request() {
    let catalog = Catalog::builtin();
    let (mut tools, mut broken) = (0, Vec::new());
    for toolkit in catalog.iter() {
        for tool in toolkit.tools() {
            tools += 1;
            for only_required in [true, false] {
                let made = arguments(tool, only_required).and_then(|(arguments, files)| {
                    build(tool, &arguments, &files).map_err(|mistake| format!("{}: {mistake}", tool.slug))
                });
                let request = match made {
                    Ok(request) => request,
                    Err(mistake) => {
                        broken.push(mistake);
                        continue;
                    }
                };
                assert!(!request.endpoint.contains(['{', '}']), "{}: {}", tool.slug, request.endpoint);
                let body = request.body.as_ref();
                assert_eq!(body.is_some(), tool.method.has_body(), "{}", tool.slug);
                if only_required {
                    continue;
                }
                // Each argument has an effect on what is sent, except the other choices of a template.
                let sent = format!("{:?} {:?} {:?}", request.endpoint, request.query, request.headers);
                for (name, argument) in &tool.input {
                    let is_query = tool.location(name, argument) == Location::Query;
                    if is_query && tool.template.is_none() && tool.query.is_empty() {
                        assert!(sent.contains(tool.wire_name(name, argument)), "{} {name}: {sent}", tool.slug);
                    }
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(tools > 700, "only {tools} tools were found");
}
