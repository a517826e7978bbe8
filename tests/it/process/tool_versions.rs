//! Versions of tools over a restart: an upgrade brings other files, and sessions go on with those of before.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::http::Api;
use crate::support::process::Dev;

fn toolkit(version: &str) -> String {
    format!(
        "slug = \"weather\"\nname = \"Weather {version}\"\ndescription = \"Forecasts.\"\ncategories = [\"data\"]\n\
         color = \"#336699\"\nversion = \"{version}\"\nbase_url = \"https://api.weather.example\"\n\
         hosts = [\"api.weather.example\"]\n[no_auth]\n"
    )
}

fn tools(path: &str) -> String {
    format!(
        "[[tools]]\nslug = \"WEATHER_GET_FORECAST\"\ntitle = \"Get {path}\"\ndescription = \"Returns the forecast.\"\n\
         use_cases = [\"Will it rain?\", \"How warm is it?\"]\neffect = \"read\"\nmethod = \"GET\"\npath = \"{path}\"\n"
    )
}

fn write(folder: &Path, version: &str, path: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("toolkit.toml"), toolkit(version)).unwrap();
    fs::write(folder.join("tools.toml"), tools(path)).unwrap();
}

async fn session(api: &Api) -> String {
    let body =
        json!({ "user_id": "u", "toolkits": { "enable": ["weather", "github"] }, "preload": { "tools": "all" } });
    let created = api.post("/tool_router/session", &body).await.expect(201);
    created["session_id"].as_str().unwrap().to_owned()
}

async fn list(api: &Api, session: &str) -> String {
    let listed = api.get(&format!("/tool_router/session/{session}/tools")).await;
    listed.expect(200);
    // Another start has another port.
    listed.text().replace(api.base.trim_end_matches("/api/v3.1"), "ORIGIN")
}

async fn url(api: &Api, session: &str) -> Value {
    let body = json!({ "tool_slug": "WEATHER_GET_FORECAST", "dry_run": true });
    let planned = api.post(&format!("/tool_router/session/{session}/execute"), &body).await.expect(200);
    planned["data"]["request"]["url"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_the_same_tools_after_a_restart_with_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let (toolkits, data) = (folder.path().join("toolkits"), folder.path().join("data"));
    let weather = toolkits.join("weather");
    let arguments = ["--toolkits", toolkits.to_str().unwrap()];
    write(&weather, "20261122_00", "/v1");
    let mut dev = Dev::start(&data, &arguments);
    let key = dev.key.clone();
    let old = session(&dev.api()).await;
    let before = list(&dev.api(), &old).await;
    assert!(before.contains("GITHUB_"));
    dev.kill();

    write(&weather, "20261201_00", "/v2");
    let mut dev = Dev::start(&data, &arguments);
    dev.key.clone_from(&key);
    assert_eq!(list(&dev.api(), &old).await, before);
    assert_eq!(url(&dev.api(), &old).await, "https://api.weather.example/v1");
    let new = session(&dev.api()).await;
    assert_eq!(url(&dev.api(), &new).await, "https://api.weather.example/v2");
    dev.kill();

    // The files of before again: both sessions have what they had.
    write(&weather, "20261122_00", "/v1");
    let mut dev = Dev::start(&data, &arguments);
    dev.key = key;
    assert_eq!(list(&dev.api(), &old).await, before);
    assert_eq!(url(&dev.api(), &new).await, "https://api.weather.example/v2");
}
