//! Every built-in tool makes a request from arguments, with all of them and with the required ones alone.

use bytes::Bytes;
use serde_json::Value;
use switchboard_catalog::{Catalog, Location, Tool};
use switchboard_tools::{
    ArgumentCheck, Arguments, File, Files, ProviderAnswer, build, example_answer, example_arguments, read,
};

/// Arguments that fit, and the files among them.
fn arguments(tool: &Tool, only_required: bool) -> Result<(Arguments, Files), String> {
    let given = example_arguments(tool, only_required);
    let mut files = Files::new();
    for name in given.keys() {
        if tool.input[name].schema.get("file_uploadable") == Some(&Value::Bool(true)) {
            let file = File { name: "a.txt".to_owned(), media_type: "text/plain".to_owned(), bytes: Bytes::from("a") };
            files.insert(name.clone(), file);
        }
    }
    let check = ArgumentCheck::new(tool).unwrap_or_else(|error| panic!("{}: {error}", tool.slug));
    let checked = check.check(given).map_err(|mistakes| format!("{}: {mistakes:?}", tool.slug))?;
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

#[test]
fn every_tool_reads_an_example_of_its_answer() {
    for toolkit in Catalog::builtin().iter() {
        for tool in toolkit.tools() {
            let json = Some(example_answer(tool));
            let result = read(tool, ProviderAnswer { status: 200, json: json.clone(), text: None, is_page: false });
            let result = result.unwrap_or_else(|failure| panic!("{}: {failure:?} {json:?}", tool.slug));
            let missing = tool.output.keys().find(|name| !result.contains_key(*name));
            assert!(missing.is_none(), "{}: {missing:?} is not in {result:?}", tool.slug);
        }
    }
}
