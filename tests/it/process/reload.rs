//! Toolkit files are edited while the server runs: what a developer and an operator see of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::process::Dev;

fn file(name: &str) -> String {
    format!(
        "slug = \"weather\"\nname = \"{name}\"\ndescription = \"Forecasts.\"\ncategories = [\"data\"]\n\
         color = \"#336699\"\nversion = \"20261122_00\"\nbase_url = \"https://api.weather.example\"\n\
         hosts = [\"api.weather.example\"]\n[no_auth]\n"
    )
}

/// Asks until it is so.
async fn wait_for(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn name(dev: &Dev) -> Value {
    dev.api().get("/toolkits/weather").await.expect(200)["name"].clone()
}

fn log(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_file_is_loaded_without_a_restart_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let toolkits = folder.path().join("toolkits");
    let path = toolkits.join("weather/toolkit.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, file("Weather")).unwrap();
    let log_path = folder.path().join("log");
    let log_file = fs::File::create(&log_path).unwrap();
    let data = folder.path().join("data");
    let dev = Dev::start_on("127.0.0.1:0", &data, &["--toolkits", toolkits.to_str().unwrap()], log_file);
    assert_eq!(name(&dev).await, "Weather");

    fs::write(&path, file("Better weather")).unwrap();
    wait_for("the new name", async || name(&dev).await == "Better weather").await;
    wait_for("a log line about it", async || {
        log(&log_path).lines().any(|line| line.contains("toolkit reloaded") && line.contains("weather/toolkit.toml"))
    })
    .await;

    fs::write(&path, file("Broken weather").replace("[no_auth]", "colour = \"red\"\n[no_auth]")).unwrap();
    let refusal = |text: &str| {
        let line = text.lines().find(|line| line.contains("toolkit file rejected"))?.to_owned();
        Some(line)
    };
    wait_for("the refusal in the log", async || refusal(&log(&log_path)).is_some()).await;
    let line = refusal(&log(&log_path)).unwrap();
    for part in ["weather/toolkit.toml", "line=9", "unknown key `colour`"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(name(&dev).await, "Better weather");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(log(&log_path).matches("toolkit file rejected").count(), 1, "told once");

    // Another file is taken although this one is broken, and the repaired one is, too.
    let second = toolkits.join("second/toolkit.toml");
    fs::create_dir(second.parent().unwrap()).unwrap();
    fs::write(&second, file("Second").replace("\"weather\"", "\"second\"")).unwrap();
    let status = async || dev.api().get("/toolkits/second").await.status;
    wait_for("the second toolkit", async || status().await == 200).await;
    assert_eq!(name(&dev).await, "Better weather");
    fs::write(&path, file("Mended weather")).unwrap();
    wait_for("the mended file", async || name(&dev).await == "Mended weather").await;
    fs::remove_dir_all(second.parent().unwrap()).unwrap();
    wait_for("the end of the second toolkit", async || status().await == 404).await;
}

fn tools(title: &str) -> String {
    format!(
        "[[tools]]\nslug = \"WEATHER_GET_FORECAST\"\ntitle = \"{title}\"\ndescription = \"Returns the forecast.\"\n\
         use_cases = [\"Will it rain?\", \"How warm is it?\"]\neffect = \"read\"\nmethod = \"GET\"\npath = \"/forecast\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_tools_are_loaded_without_a_restart_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let weather = folder.path().join("toolkits/weather");
    fs::create_dir_all(&weather).unwrap();
    fs::write(weather.join("toolkit.toml"), file("Weather")).unwrap();
    let path = weather.join("tools.toml");
    let log_path = folder.path().join("log");
    let log_file = fs::File::create(&log_path).unwrap();
    let toolkits = weather.parent().unwrap().to_str().unwrap();
    let dev = Dev::start_on("127.0.0.1:0", &folder.path().join("data"), &["--toolkits", toolkits], log_file);
    let tool = async || dev.api().get("/tools/WEATHER_GET_FORECAST").await;
    let name = async || tool().await.expect(200)["name"].clone();
    let dry_run = serde_json::json!({ "arguments": {}, "dry_run": true });
    let url = async || {
        let planned = dev.api().post("/tools/execute/WEATHER_GET_FORECAST", &dry_run).await.expect(200);
        planned["data"]["request"]["url"].clone()
    };
    assert_eq!(tool().await.status, 404);

    fs::write(&path, tools("Get the forecast")).unwrap();
    wait_for("the first tool", async || tool().await.status == 200).await;
    assert_eq!(url().await, "https://api.weather.example/forecast");

    fs::write(&path, tools("Read the forecast").replace("/forecast", "/v2/forecast")).unwrap();
    wait_for("the new title", async || name().await == "Read the forecast").await;
    assert_eq!(url().await, "https://api.weather.example/v2/forecast");

    fs::write(&path, tools("Broken forecast").replace("path", "paht")).unwrap();
    wait_for("the refusal in the log", async || log(&log_path).contains("toolkit file rejected")).await;
    let log = log(&log_path);
    let line = log.lines().find(|line| line.contains("toolkit file rejected")).unwrap();
    for part in ["weather/tools.toml", "unknown key `paht`"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(name().await, "Read the forecast");

    fs::remove_file(&path).unwrap();
    wait_for("the end of the tool", async || tool().await.status == 404).await;
}
