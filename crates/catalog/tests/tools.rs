//! Tools beside a toolkit: what is accepted, what is reported and where, and the schemas that clients get.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop where it stands")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use switchboard_catalog::{
    Catalog, Effect, Folders, Location, PlainHttp, Release, tools_json_schema, tools_key_reference,
};

const TOOLKIT: &str = r##"
slug = "acme"
name = "Acme"
description = "Anvils."
categories = ["testing"]
color = "#336699"
version = "20261122_00"
base_url = "https://api.acme.example"
hosts = ["api.acme.example"]
[api_key]
fields = [{ name = "generic_api_key", display_name = "API key", secret = true }]
apply = [{ header = "X-Acme-Key", value = "{generic_api_key}" }]
"##;

/// A tool of two keys less than the smallest one; `more` adds them and others.
fn tool(more: &str) -> String {
    format!(
        "[[tools]]\nslug = \"ACME_GET_ANVIL\"\ntitle = \"Get an anvil\"\ndescription = \"Returns an anvil.\"\n\
         use_cases = [\"How heavy is it?\", \"Show the anvil.\"]\n{more}\n"
    )
}

const READ: &str = "effect = \"read\"\nmethod = \"GET\"\npath = \"/anvils\"\n";

/// The problems of a file with tools, as `line: message`; the catalog if there are none.
fn load(tools: &str) -> Result<Catalog, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let acme = folder.path().join("acme");
    fs::create_dir(&acme).unwrap();
    fs::write(acme.join("toolkit.toml"), TOOLKIT).unwrap();
    fs::write(acme.join("tools.toml"), tools).unwrap();
    let mut catalog = Catalog::default();
    match catalog.load_dir(folder.path()) {
        Ok(_) => Ok(catalog),
        Err(error) => Err(error
            .problems()
            .iter()
            .map(|problem| {
                assert!(problem.file.ends_with("tools.toml"), "{problem}");
                format!("{}: {}", problem.line.unwrap_or_default(), problem.message)
            })
            .collect()),
    }
}

fn problems(tools: &str) -> Vec<String> {
    load(tools).expect_err("problems")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn arguments_go_where_the_path_and_the_method_say() {
    let input = "[tools.input]\n\
        id = { type = \"string\", description = \"Id.\", required = true }\n\
        size = { type = \"integer\", description = \"Size.\", default = 3, minimum = 1 }\n\
        tags = { type = \"array\", description = \"Tags.\", items = { type = \"string\" }, in = \"query\", style = \"commas\" }\n\
        trace = { type = \"string\", description = \"Trace.\", in = \"header\", as = \"X-Trace\" }\n";
    for (method, effect, size) in [("GET", "read", Location::Query), ("PUT", "update", Location::Body)] {
        let text = tool(&format!("effect = \"{effect}\"\nmethod = \"{method}\"\npath = \"/anvils/{{id}}\"\n{input}"));
        let catalog = load(&text).unwrap();
        let tool = &catalog.get("acme").unwrap().tools()[0];
        let places: Vec<(&str, Location, &str)> = tool
            .input
            .iter()
            .map(|(name, argument)| (name.as_str(), tool.location(name, argument), tool.wire_name(name, argument)))
            .collect();
        assert_eq!(
            places,
            [
                ("id", Location::Path, "id"),
                ("size", size, "size"),
                ("tags", Location::Query, "tags"),
                ("trace", Location::Header, "X-Trace")
            ]
        );
        let expected = json!({
            "type": "object",
            "properties": {
                "id": { "type": "string", "description": "Id." },
                "size": { "type": "integer", "description": "Size.", "default": 3, "minimum": 1 },
                "tags": { "type": "array", "description": "Tags.", "items": { "type": "string" } },
                "trace": { "type": "string", "description": "Trace." },
            },
            "required": ["id"],
        });
        assert_eq!(Value::from(tool.input_schema()), expected);
    }
}

#[test]
fn a_mistake_is_reported_with_its_line_and_key() {
    let cases = [
        (tool("effect = \"read\"\nmethod = \"GET\"\npath = \"anvils\""), "8: tools[0].path: must begin with `/`"),
        (tool("effect = \"read\"\nmethod = \"GET\"\npath = \"/a/{id}\""), "8: tools[0].path: `{id}` is no argument"),
        (tool("effect = \"read\"\nmethod = \"GET\"\npath = \"/a/../b\""), "8: tools[0].path: must begin with `/`"),
        (tool("effect = \"create\"\nmethod = \"GET\"\npath = \"/a\""), "6: tools[0].effect: GET changes nothing"),
        (tool("effect = \"update\"\nmethod = \"DELETE\"\npath = \"/a\""), "6: tools[0].effect: DELETE deletes"),
        (tool(READ).replace("ACME_GET_ANVIL", "GET_ANVIL"), "2: tools[0].slug: must be `ACME_`"),
        (tool(&format!("{READ}verb = \"GET\"")), "9: unknown key `verb` in [tools[0]]"),
        (tool(&format!("{READ}wrap = \"/data\"")), "9: tools[0].wrap: must be a JSON pointer into a JSON body"),
        (tool(&format!("{READ}replaced_by = \"ACME_X\"")), "9: tools[0].replaced_by: must be the slug of another tool"),
        (
            tool(&format!("{READ}scopes = [[]]")),
            "9: tools[0].scopes[0]: an empty list says that the call works without",
        ),
        (tool(&format!("{READ}scopes = [[], [\"a\"]]")), "9: tools[0].scopes[0]: an empty list says"),
        (tool(&format!("{READ}scopes = [[\"a b\"], []]")), "9: tools[0].scopes[0]: must be a list of scopes"),
        (tool(&format!("{READ}scopes = [[\"a\", \"b\"], [\"b\", \"a\"]]")), "9: tools[0].scopes[1]: is listed twice"),
        (tool(&format!("{READ}scopes = [[\"a\"]]\ntoken = \"user\"")), "10: tools[0].token: must be a token of"),
        (tool(READ).replace(", \"Show the anvil.\"", ""), "5: tools[0].use_cases: must be two to six sentences"),
    ];
    for (text, expected) in cases {
        let found = problems(&text);
        assert!(found[0].starts_with(expected), "{found:?} does not begin with {expected}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
    let twice = format!("{}{}", tool(READ), tool(READ));
    assert_eq!(problems(&twice), ["11: tools[1].slug: another tool has this slug"]);
}

#[test]
fn a_schema_that_a_model_vendor_refuses_is_reported() {
    let cases = [
        ("type = \"array\", style = \"commas\"", "items: a list needs the schema of its items"),
        ("type = \"object\", style = \"deep_object\"", "properties: an object needs its `properties`"),
        ("type = [\"string\", \"null\"]", "type: must be one of string, integer"),
        ("type = \"string\", format = \"uri\"", "format: must be one of date-time"),
        ("type = \"string\", pattern = \"(?=a)\"", "pattern: must be a regular expression of at most 256 bytes"),
        ("type = \"integer\", enum = [1]", "enum: must be a list of texts that are not empty"),
        ("type = \"integer\", default = \"1\"", "default: must be a text, a number or a boolean"),
        ("type = \"string\", examples = [\"a\"]", "examples: not accepted by all models for a string"),
        ("anyOf = [{ type = \"string\" }], type = \"string\"", "anyOf: stands alone"),
        (
            "type = \"array\", items = { type = \"string\" }",
            "style: a list or object outside of a JSON body needs a style",
        ),
        ("type = \"string\", style = \"commas\"", "style: must be one of a list"),
        ("type = \"string\", in = \"body\"", "in: GET has no body"),
        ("type = \"string\", in = \"header\", as = \"x-acme-key\"", "as: must be a name"),
        ("type = \"string\", in = \"header\", as = \"Referer\"", "as: must be a name"),
        ("type = \"string\", in = \"header\", as = \"Authorization\"", "as: must be a name"),
    ];
    for (schema, expected) in cases {
        let found = problems(&tool(&format!("{READ}[tools.input]\na = {{ description = \"A.\", {schema} }}")));
        let expected = format!("tools[0].input.a.{expected}");
        assert!(found.iter().any(|problem| problem.contains(&expected)), "{found:?} lacks {expected}");
    }
    let found = problems(&tool(&format!("{READ}[tools.input]\na = {{ type = \"string\" }}")));
    assert_eq!(found, ["10: tools[0].input.a: needs a `description`"]);
    let found =
        problems(&tool(&format!("{READ}[tools.input]\n\"$top\" = {{ type = \"integer\", description = \"N.\" }}")));
    assert!(found[0].contains("use `as` for another one at the provider"), "{found:?}");
}

#[test]
fn two_arguments_never_go_to_one_place() {
    let input = "[tools.input]\na = { type = \"string\", description = \"A.\", as = \"x\" }\n\
                 b = { type = \"string\", description = \"B.\", as = \"x\" }\n";
    let found = problems(&tool(&format!("{READ}{input}")));
    assert_eq!(found, ["11: tools[0].input.b: another argument or value goes to the same place"]);
    let found = problems(&tool(&format!("{READ}query = {{ x = \"1\" }}\n{input}")));
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_changed_file_is_read_again_with_its_toolkit() {
    let folder = tempfile::tempdir().unwrap();
    let acme = folder.path().join("acme");
    fs::create_dir(&acme).unwrap();
    fs::write(acme.join("toolkit.toml"), TOOLKIT).unwrap();
    let mut folders = Folders::open(&[folder.path().to_owned()], PlainHttp::default()).unwrap();
    let tools = |folders: &Folders| folders.overlay(&Catalog::default()).get("acme").unwrap().tools().len();
    assert_eq!(tools(&folders), 0);
    fs::write(acme.join("tools.toml"), tool(READ)).unwrap();
    assert!(folders.reload().is_effective());
    assert_eq!(tools(&folders), 1);
    assert!(!folders.reload().is_effective());
    // A mistake keeps the version before.
    fs::write(acme.join("tools.toml"), tool("")).unwrap();
    let changes = folders.reload();
    assert_eq!((changes.is_effective(), changes.problems.len(), tools(&folders)), (false, 1, 1));
    fs::remove_file(acme.join("tools.toml")).unwrap();
    folders.reload();
    assert_eq!(tools(&folders), 0);
}

fn release(catalog: &Catalog, toolkit: &str) -> Arc<Release> {
    catalog.releases().find(|release| release.toolkit == toolkit).unwrap()
}

#[test]
fn a_release_is_known_by_its_content_and_can_be_read_again() {
    let first = release(&load(&tool(READ)).unwrap(), "acme");
    assert_eq!((first.version.as_str(), first.name.as_str()), ("20261122_00", "Acme"));
    assert_eq!(first.digest, release(&load(&tool(READ)).unwrap(), "acme").digest);
    assert_ne!(first.digest, release(&load(&tool(&READ.replace("anvils", "irons"))).unwrap(), "acme").digest);
    let labels = ("acme", "20261122_00", "Acme");
    let stored = Release::stored(&first.digest, labels, first.compressed().to_vec()).unwrap();
    let tools = stored.tools().unwrap();
    assert_eq!((tools.len(), tools[0].slug.as_str()), (1, "ACME_GET_ANVIL"));
    assert!(Release::stored(&first.digest, ("acme", "20261123_00", "Acme"), first.compressed().to_vec()).is_none());
    assert!(Release::stored(&first.digest, labels, vec![1, 2, 3]).is_none());
    assert_eq!(
        Catalog::builtin().releases().count(),
        Catalog::builtin().iter().filter(|toolkit| toolkit.tool_count() > 0).count()
    );
}

/// Sessions are promised the same bytes after an upgrade: a stored tool is read by this program as by any earlier one. If
/// this fails, find a way that leaves the bytes of stored tools as they are.
#[test]
fn a_stored_tool_keeps_its_bytes() {
    let input = "body = \"json\"\nwrap = \"/data\"\nresult = \"/anvil\"\nweight = 2\ntimeout = 30\n\
        untrusted = [\"/note\"]\ndecode = [\"note\"]\nidempotency_header = \"X-Key\"\n\
        error_when = { pointer = \"/ok\", equals = false }\n\
        [tools.input]\nid = { type = \"string\", description = \"Id.\", required = true, in = \"query\", as = \"ID\" }\n\
        size = { type = \"integer\", description = \"Size.\", default = 3, minimum = 1 }\n\
        [tools.output]\nnote = { type = \"string\", description = \"A note.\" }\n";
    let create = tool(&format!("effect = \"create\"\nmethod = \"POST\"\npath = \"/anvils\"\n{input}"));
    let release = release(&load(&create).unwrap(), "acme");
    let row = &release.tools().unwrap()[0];
    assert_eq!(
        (row.input_schema.get(), row.output_schema.get()),
        (
            r#"{"properties":{"id":{"description":"Id.","type":"string"},"size":{"default":3,"description":"Size.","minimum":1,"type":"integer"}},"required":["id"],"type":"object"}"#,
            r#"{"properties":{"note":{"description":"A note.","type":"string"}},"type":"object"}"#
        )
    );
    assert_eq!(release.digest, "eb15010b8710512247bdc81b75f51964aec8996aa2cd83aa36e007c08b2d12bd");
    assert_eq!(row.digest, "dc48942fd6ac808f6cffdb3323f410e916800cd26bb0e372bccc5ffff495b826");
}

#[test]
fn the_sandbox_has_a_tool_of_each_effect() {
    let catalog = Catalog::builtin();
    let tools = catalog.get("sandbox").unwrap().tools();
    let slugs: Vec<&str> = tools.iter().map(|tool| tool.slug.as_str()).collect();
    assert!(slugs.is_sorted() && slugs.contains(&"SANDBOX_CREATE_NOTE"), "{slugs:?}");
    for effect in [Effect::Read, Effect::Create, Effect::Destructive] {
        assert!(tools.iter().any(|tool| tool.effect == effect), "{effect:?}");
    }
}

#[test]
fn the_published_schema_and_keys_are_current() {
    let (schema, keys) = (repository().join("docs/tools.schema.json"), repository().join("docs/tool-keys.md"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&schema, format!("{:#}\n", tools_json_schema())).expect("write");
        fs::write(&keys, tools_key_reference()).expect("write");
    }
    let published: Value = serde_json::from_str(&fs::read_to_string(schema).expect("read")).expect("JSON");
    assert!(published == tools_json_schema(), "run the tests with UPDATE_DOCS=1");
    assert!(fs::read_to_string(keys).expect("read") == tools_key_reference(), "run the tests with UPDATE_DOCS=1");
    for line in tools_key_reference().lines().filter(|line| line.starts_with("| `")) {
        assert!(!line.ends_with("|  |"), "{line}");
    }
}

/// The complete examples in the guide are valid.
#[test]
fn the_examples_of_the_guide_are_valid() {
    let guide = fs::read_to_string(repository().join("docs/tool-format.md")).expect("read");
    let blocks: Vec<&str> = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2, "the guide has examples");
    for block in blocks {
        load(block).unwrap_or_else(|problems| panic!("{problems:?}"));
    }
}
