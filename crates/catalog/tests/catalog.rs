//! The public interface of the catalog: the builtin toolkits, folders of toolkits, and the schema.

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
    let catalog = Catalog::builtin();
    let mut folders = Catalog::default();
    let count = folders.load_dir(&repository().join("toolkits")).expect("folders are valid");
    let slugs = |catalog: &Catalog| -> Vec<String> { catalog.iter().map(|toolkit| toolkit.slug.clone()).collect() };
    assert_eq!(slugs(&catalog), slugs(&folders));
    assert_eq!(catalog.len(), count);
    assert!(slugs(&catalog).is_sorted());
}

#[test]
fn builtin_toolkits_name_credentials_as_the_api_does() {
    let catalog = Catalog::builtin();
    for toolkit in catalog.iter() {
        for scheme in toolkit.schemes() {
            let fields = toolkit.scheme_fields(scheme);
            let secrets: Vec<&str> = fields.iter().filter(|field| field.secret).map(|field| &*field.name).collect();
            let expected: &[&str] = match scheme {
                Scheme::ApiKey if secrets.len() > 1 => continue,
                Scheme::ApiKey => &["generic_api_key"],
                Scheme::BearerToken => &["token"],
                // The label in the file, or a key in its place.
                Scheme::Basic => {
                    let basic = toolkit.basic.as_ref().expect("a table for its scheme");
                    match (basic.username_is_secret(), basic.password_is_secret() && !basic.without_password) {
                        (true, true) => &["username", "password"],
                        (true, false) => &["username"],
                        (false, _) => &["password"],
                    }
                }
                Scheme::GoogleServiceAccount => &["credentials_json"],
                Scheme::ServiceAccount => &["private_key"],
                Scheme::S2sOAuth2 if secrets == ["private_key"] => continue,
                Scheme::S2sOAuth2 => &["client_secret"],
                _ => &[],
            };
            assert_eq!(secrets, expected, "{} {scheme}", toolkit.slug);
        }
    }
}

#[test]
fn a_slug_is_looked_up_exactly() {
    let catalog = Catalog::builtin();
    assert_eq!(catalog.get("github").map(|toolkit| &*toolkit.name), Some("GitHub"));
    assert!(catalog.get("GITHUB").is_none());
    assert!(catalog.get("").is_none());
}

#[test]
fn the_sandbox_uses_the_services_address() {
    let catalog = Catalog::builtin();
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
    let schemes = [Scheme::OAuth2, Scheme::ApiKey, Scheme::BearerToken, Scheme::Basic, Scheme::NoAuth];
    assert_eq!(acme.schemes(), schemes);
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
    let stripe = Catalog::builtin().get("stripe").cloned().expect("builtin");
    let of_stripe: Vec<_> =
        stripe.scheme_fields(Scheme::OAuth2).into_iter().map(|field| (field.name, field.by_developer)).collect();
    assert_eq!(of_stripe, [("channel".to_owned(), true)]);
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

    let mut catalog = Catalog::builtin();
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
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{:#}\n", json_schema())).expect("write");
    }
    let published: Value = serde_json::from_str(&fs::read_to_string(path).expect("read")).expect("JSON");
    let current = published == json_schema();
    assert!(current, "run the tests with UPDATE_DOCS=1");
}

/// The complete examples in the guide are valid.
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

#[test]
fn the_table_of_keys_is_current() {
    let path = repository().join("docs/toolkit-keys.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, switchboard_catalog::key_reference()).expect("write");
    }
    let published = fs::read_to_string(path).expect("read");
    assert!(published == switchboard_catalog::key_reference(), "run the tests with UPDATE_DOCS=1");
}

#[test]
fn the_page_of_all_toolkits_is_current() {
    let path = repository().join("docs/toolkits.md");
    let page = switchboard_catalog::overview(&Catalog::builtin());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("write");
    }
    assert!(fs::read_to_string(path).expect("read") == page, "run the tests with UPDATE_DOCS=1");
}

#[test]
fn every_key_is_explained() {
    for line in switchboard_catalog::key_reference().lines().filter(|line| line.starts_with("| `")) {
        assert!(!line.ends_with("|  |"), "{line}");
    }
}

proptest! {
    /// Whatever an editing mistake does to a file, the result is a toolkit or problems with lines.
    #[test]
    fn a_damaged_file_gives_problems_or_a_toolkit(from in 0..ACME.len(), length in 0..40_usize, insert in "[\\PC\n\"{}\\[\\]=#]{0,3}") {
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
