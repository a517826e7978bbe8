//! Accepted settings, and the errors of rejected ones.

use super::*;

fn check(text: &str) -> Result<Config> {
    let layer: Layer = toml::from_str(text)?;
    layer.overlay(Layer::defaults()?).check()
}

#[test]
fn the_defaults_are_a_complete_configuration() {
    let config = check("").unwrap();
    assert_eq!(config.settings.public_url, "http://127.0.0.1:8787");
    assert_eq!(config.master_key_file, Path::new("switchboard-data/master.key"));
}

#[test]
fn an_invalid_value_names_the_setting_and_the_accepted_values() {
    for (text, expected) in [
        ("listen = \"8787\"", "setting listen: takes an address and port"),
        ("listen = \"0.0.0.0:8787\"", "setting public_url: is required"),
        ("public_url = \"http://connect.example.com\"", "setting public_url: takes an origin"),
        ("public_url = \"https://connect.example.com/path\"", "setting public_url: takes an origin"),
        ("database_url = \"postgres://localhost/x\"", "PostgreSQL is not built yet"),
        ("database_url = \"mysql:x\"", "setting database_url: takes sqlite"),
        ("link_ttl_seconds = 5", "setting link_ttl_seconds: takes 60 to 3600"),
        ("[keep]\nended_links_days = 4000", "setting keep.ended_links_days: takes 0 to 3650"),
        ("[keep]\nsession_versions = 0", "setting keep.session_versions: takes 1 to 10000"),
        ("proxy_memory_mib = 1", "setting proxy_memory_mib: takes 16 to 65536"),
        ("log_format = \"xml\"", "setting log_format: takes text or json"),
        ("allow_egress = [\"10.0.0.0/99\"]", "setting allow_egress:"),
        (
            "trusted_proxies = [\"proxy.corp\"]",
            "setting trusted_proxies: \"proxy.corp\" must be an IP address or a CIDR range",
        ),
        ("rate_limit_per_key_per_minute = -1", "rate_limit_per_key_per_minute"),
        ("lisen = \"x\"", "unknown field `lisen`"),
        (
            "[s3]\nendpoint = \"https://:canary@s3.example.com\"\nregion = \"x\"\nbucket = \"b\"\naccess_key_id = \"a\"",
            "and without a user or password",
        ),
        (
            "[s3]\nendpoint = \"https://s3.example.com\"\nregion = \"x\"\nbucket = \"b\"\nprefix = \"a/../b\"\naccess_key_id = \"a\"",
            "setting s3.prefix",
        ),
        (
            "[s3]\nendpoint = \"https://s3.example.com\"\nregion = \"x\"\nbucket = \"..\"\naccess_key_id = \"a\"",
            "setting s3.bucket",
        ),
        // Only for `toolkit test`: a server must never send all credentials to one address.
        ("redirect_all_to = \"127.0.0.1:1\"", "unknown field `redirect_all_to`"),
        ("[managed.github]\nclient_id = \"\"\nprojects = []", "setting managed.github.client_id"),
        (
            "[managed.okta]\nclient_id = \"a\"\nprojects = []\nhosts = [\"http://acme.okta.com\"]",
            "setting managed.okta.hosts: takes origins such as https://login.example.com",
        ),
    ] {
        let error = format!("{:#}", check(text).unwrap_err());
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("canary"), "{text}: {error}");
    }
}
