//! The catalog as its users see it: the builtin toolkits, folders of toolkits, and the schema.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use switchboard_catalog::{Catalog, Scheme, json_schema};

const ACME: &str = include_str!("acme.toml");

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn every_folder_of_toolkits_is_builtin() {
    let catalog = Catalog::builtin().expect("builtin toolkits are valid");
    let mut folders = Catalog::default();
    let count = folders.load_dir(&repository().join("toolkits")).expect("folders are valid");
    let slugs = |catalog: &Catalog| -> Vec<String> { catalog.iter().map(|toolkit| toolkit.slug.clone()).collect() };
    assert_eq!(slugs(&catalog), slugs(&folders));
    assert_eq!(catalog.len(), count);
    assert!(slugs(&catalog).is_sorted());
}

#[test]
fn builtin_toolkits_name_credentials_as_the_api_does() {
    let catalog = Catalog::builtin().expect("valid");
    for toolkit in catalog.iter() {
        for scheme in toolkit.schemes() {
            let fields = toolkit.scheme_fields(scheme);
            let secrets: Vec<&str> = fields.iter().filter(|field| field.secret).map(|field| &*field.name).collect();
            let expected: &[&str] = match scheme {
                Scheme::OAuth2 | Scheme::NoAuth => &[],
                Scheme::ApiKey => &["generic_api_key"],
                Scheme::BearerToken => &["token"],
                Scheme::Basic => &["password"],
            };
            assert_eq!(secrets, expected, "{} {scheme}", toolkit.slug);
        }
    }
}

#[test]
fn a_slug_is_looked_up_exactly() {
    let catalog = Catalog::builtin().expect("valid");
    assert_eq!(catalog.get("github").map(|toolkit| &*toolkit.name), Some("GitHub"));
    assert!(catalog.get("GITHUB").is_none());
    assert!(catalog.get("").is_none());
}

#[test]
fn the_sandbox_goes_where_the_service_says() {
    let catalog = Catalog::builtin().expect("valid");
    let sandbox = catalog.get("sandbox").expect("builtin");
    assert_eq!(sandbox.schemes(), [Scheme::OAuth2, Scheme::ApiKey, Scheme::Basic]);
    let vars = |name: &str| match name {
        "sandbox_url" => Some("http://127.0.0.1:7070".to_owned()),
        "sandbox_host" => Some("127.0.0.1:7070".to_owned()),
        _ => None,
    };
    assert_eq!(sandbox.host_rules(&vars), Ok(vec!["127.0.0.1:7070".to_owned()]));
    let base_url = switchboard_catalog::template::expand(&sandbox.base_url, &vars);
    assert_eq!(base_url.as_deref(), Ok("http://127.0.0.1:7070/api"));
}

#[test]
fn fields_are_those_of_the_connection_and_of_the_scheme() {
    let mut catalog = Catalog::default();
    catalog.add("acme/toolkit.toml", ACME).expect("valid");
    let acme = catalog.get("acme").expect("just added");
    assert_eq!(acme.schemes(), Scheme::ALL);
    let names =
        |scheme: Scheme| -> Vec<String> { acme.scheme_fields(scheme).into_iter().map(|field| field.name).collect() };
    assert_eq!(names(Scheme::OAuth2), ["site", "label"]);
    assert_eq!(names(Scheme::ApiKey), ["site", "label", "generic_api_key"]);
    assert_eq!(names(Scheme::BearerToken), ["site", "label", "token"]);
    assert_eq!(names(Scheme::Basic), ["site", "label", "username", "password"]);
    let basic = acme.scheme_fields(Scheme::Basic);
    assert_eq!((&*basic[2].display_name, basic[2].secret), ("E-mail", false));
    assert_eq!((&*basic[3].display_name, basic[3].secret), ("Password", true));
    let vars = |name: &str| (name == "site").then(|| "corp".to_owned());
    let rules = acme.host_rules(&vars).expect("all variables have values");
    assert_eq!(rules, ["corp.acme.test", "*.files.acme.test", "127.0.0.1:9000"]);
    let stripe = Catalog::builtin().expect("valid").get("stripe").cloned().expect("builtin");
    assert!(stripe.scheme_fields(Scheme::OAuth2).is_empty());
}

#[test]
fn an_origin_field_is_a_host_rule_without_its_scheme() {
    let text = ACME
        .replace("format = \"dns_label\"", "format = \"origin\"")
        .replace("example = \"acme-corp\"\n", "")
        .replace("https://{site}.acme.test", "{site}")
        .replace("{site}.acme.test", "{site}");
    let mut catalog = Catalog::default();
    catalog.add("acme/toolkit.toml", &text).expect("valid");
    let acme = catalog.get("acme").expect("just added");
    let rules = acme.host_rules(&|_| Some("https://git.corp.test:8443".to_owned()));
    assert_eq!(rules.expect("expands")[0], "git.corp.test:8443");
}

#[test]
fn a_folder_replaces_builtin_toolkits_and_adds_others() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let write = |slug: &str, text: &str| {
        fs::create_dir_all(dir.path().join(slug)).expect("create folder");
        fs::write(dir.path().join(slug).join("toolkit.toml"), text).expect("write file");
    };
    write("acme", ACME);
    let github = fs::read_to_string(repository().join("toolkits/github/toolkit.toml")).expect("read");
    write("github", &github.replace("name = \"GitHub\"", "name = \"Our GitHub\""));
    fs::create_dir(dir.path().join(".git")).expect("create folder");
    fs::write(dir.path().join("README.md"), "not a toolkit").expect("write file");

    let mut catalog = Catalog::builtin().expect("valid");
    let before = catalog.len();
    assert_eq!(catalog.load_dir(dir.path()).map_err(|error| error.to_string()), Ok(2));
    assert_eq!(catalog.len(), before + 1);
    assert_eq!(catalog.get("github").map(|toolkit| &*toolkit.name), Some("Our GitHub"));
}

#[test]
fn a_folder_with_problems_changes_nothing_and_all_are_reported() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = |slug: &str| dir.path().join(slug).join("toolkit.toml");
    for slug in ["acme", "empty", "huge", "latin", "other"] {
        fs::create_dir(dir.path().join(slug)).expect("create folder");
    }
    fs::write(file("acme"), ACME).expect("write file");
    fs::write(file("huge"), "#".repeat(256 * 1024 + 1)).expect("write file");
    fs::write(file("latin"), b"name = \"\xe9\"").expect("write file");
    fs::write(file("other"), ACME).expect("write file");

    let mut catalog = Catalog::default();
    let error = catalog.load_dir(dir.path()).expect_err("four broken folders");
    assert!(catalog.is_empty());
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    let name = |slug: &str| file(slug).display().to_string();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[0].starts_with(&format!("{}: cannot read file: ", name("empty"))), "{}", lines[0]);
    assert_eq!(lines[1], format!("{}: file is larger than 262144 bytes", name("huge")));
    assert_eq!(lines[2], format!("{}: file is not UTF-8 text", name("latin")));
    assert_eq!(lines[3], format!("{}:2: slug: must equal the name of the folder, `other`", name("other")));

    let missing = dir.path().join("missing");
    let error = catalog.load_dir(&missing).expect_err("no such folder");
    let expected = format!("{}: cannot read folder: ", missing.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn the_published_schema_is_current() {
    let path = repository().join("docs/toolkit.schema.json");
    let published: Value = serde_json::from_str(&fs::read_to_string(path).expect("read")).expect("JSON");
    let current = published == json_schema();
    assert!(current, "see crates/catalog/examples/toolkit_schema.rs");
}

/// Follows `$ref` until a schema that is not one.
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let Some(reference) = schema["$ref"].as_str() else {
        return schema;
    };
    let Some(target) = root.pointer(&reference[1..]) else {
        panic!("{reference} is not defined");
    };
    resolve(root, target)
}

/// Every key of `value` is in the schema, and what the schema says of types and choices holds.
fn assert_described(root: &Value, schema: &Value, value: &Value, at: &str) {
    let schema = resolve(root, schema);
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{at}: {value} is not one of {allowed:?}");
    }
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        _ => "integer",
    };
    if let Some(expected) = schema["type"].as_str() {
        assert_eq!(kind, expected, "{at}");
    }
    match value {
        Value::Object(entries) if schema["type"] == "object" => {
            for key in schema["required"].as_array().into_iter().flatten() {
                let present = key.as_str().is_some_and(|key| entries.contains_key(key));
                assert!(present, "{at} lacks {key}");
            }
            for (key, value) in entries {
                let described = schema["properties"].get(key);
                let described = described.or_else(|| schema.get("additionalProperties"));
                let described = described.filter(|schema| schema.is_object());
                let described = described.unwrap_or_else(|| panic!("{at}.{key} is not in the schema"));
                assert_described(root, described, value, &format!("{at}.{key}"));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                assert_described(root, &schema["items"], item, &format!("{at}[{index}]"));
            }
        }
        _ => {}
    }
}

#[test]
fn the_schema_describes_every_builtin_toolkit() {
    let schema = json_schema();
    for entry in fs::read_dir(repository().join("toolkits")).expect("read folder") {
        let path = entry.expect("entry").path().join("toolkit.toml");
        let text = fs::read_to_string(&path).expect("read");
        let value: Value = toml::from_str(&text).expect("TOML");
        assert_described(&schema, &schema, &value, &path.display().to_string());
    }
    let acme: Value = toml::from_str(ACME).expect("TOML");
    assert_described(&schema, &schema, &acme, "acme");
}

/// The reader lists a table's keys when it meets an unknown one; the schema must list the same.
#[test]
fn schema_and_reader_know_the_same_keys() {
    let schema = json_schema();
    let tables = [
        ("/properties", "slug = \"acme\"", "x_y = 1\nslug = \"acme\""),
        ("/properties/no_auth/properties", "[no_auth]", "[no_auth]\nx_y = 1"),
        ("/$defs/field/properties", "name = \"site\"", "x_y = 1\nname = \"site\""),
        ("/$defs/oauth2/properties", "[oauth2]", "[oauth2]\nx_y = 1"),
        ("/$defs/token_response/properties", "[oauth2.response]", "[oauth2.response]\nx_y = 1"),
        ("/$defs/placement/properties", "{ query = \"key\"", "{ x_y = 1, query = \"key\""),
        ("/$defs/key_scheme/properties", "[bearer_token]", "[bearer_token]\nx_y = 1"),
        ("/$defs/basic/properties", "[basic]", "[basic]\nx_y = 1"),
        ("/$defs/field_text/properties", "username = {", "username = { x_y = 1,"),
        ("/$defs/probe/properties", "[basic.verify]", "[basic.verify]\nx_y = 1"),
        ("/$defs/identity/properties", "[identity]", "[identity]\nx_y = 1"),
    ];
    for (pointer, valid, broken) in tables {
        let error = Catalog::default()
            .add("acme/toolkit.toml", &ACME.replacen(valid, broken, 1))
            .expect_err("x_y is no key")
            .to_string();
        let (_, known) = error.split_once("; known keys: ").expect("lists the known keys");
        let mut known: Vec<&str> = known.split(", ").filter(|key| *key != "none").collect();
        known.sort_unstable();
        let described = schema.pointer(pointer).and_then(Value::as_object).expect("properties");
        let mut described: Vec<&str> = described.keys().map(String::as_str).collect();
        described.sort_unstable();
        assert_eq!(known, described, "{pointer}");
    }
}

/// The guide's complete examples are what the reader accepts.
#[test]
fn the_examples_of_the_guide_are_valid() {
    let guide = fs::read_to_string(repository().join("docs/toolkit-format.md")).expect("read");
    let blocks = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut complete = 0;
    for block in blocks {
        let Some(file_name) = block.lines().next().and_then(|line| line.strip_prefix("# toolkits/")) else {
            continue;
        };
        let added = Catalog::default().add(file_name, block);
        assert_eq!(added.map_err(|error| error.to_string()), Ok(()));
        complete += 1;
    }
    assert!(complete >= 2, "the guide has complete examples");
}

/// Every key has a section in the guide or a row in one of its tables.
#[test]
fn the_guide_names_every_key() {
    let guide = fs::read_to_string(repository().join("docs/toolkit-format.md")).expect("read");
    let schema = json_schema();
    let definitions = schema["$defs"].as_object().expect("definitions").values();
    for table in definitions.chain([&schema]) {
        for key in table["properties"].as_object().into_iter().flat_map(|keys| keys.keys()) {
            assert!(guide.contains(&format!("`{key}`")), "`{key}` is missing in docs/toolkit-format.md");
        }
    }
}

proptest! {
    /// Whatever a slip of the editor does to a file, the answer is a toolkit or problems with lines.
    #[test]
    fn a_damaged_file_is_answered(from in 0..ACME.len(), length in 0..40_usize, insert in "[\\PC\n\"{}\\[\\]=#]{0,3}") {
        let to = (from + length).min(ACME.len());
        prop_assume!(ACME.is_char_boundary(from) && ACME.is_char_boundary(to));
        let text = format!("{}{insert}{}", &ACME[..from], &ACME[to..]);
        if let Err(error) = Catalog::default().add("acme/toolkit.toml", &text) {
            let lines = text.lines().count() + 1;
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                prop_assert!(problem.line.is_some_and(|line| (1..=lines).contains(&line)), "{problem}");
            }
        }
    }
}
