//! A project with very many rows costs the others nothing. Long: ignored by default; bench/README.md has
//! the command and the figures.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::commands::json as command;
use crate::api::help::{Upstream, connect_key, sql};
use crate::support::http::Api;
use crate::support::process::Dev;

/// Loops that list, each with one request under way.
const LOOPS: usize = 4;
/// How long each measurement takes.
const TIME: Duration = Duration::from_secs(10);
/// Health checks answer within this, 99 of 100 times.
const LIVEZ: Duration = Duration::from_millis(100);

/// A server, a project that calls a provider, and one that is to have many rows.
struct World {
    dev: Dev,
    folder: tempfile::TempDir,
    _upstream: Upstream,
    quiet: Api,
    session: String,
    noisy: Api,
    noisy_project: String,
}

async fn world() -> World {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let toolkits = folder.path().join("toolkits");
    std::fs::create_dir_all(toolkits.join("up")).unwrap();
    std::fs::write(toolkits.join("up/toolkit.toml"), upstream.toolkit("up")).unwrap();
    let data = folder.path().join("data");
    let arguments = ["--toolkits", toolkits.to_str().unwrap(), "--rate-limit-per-key-per-minute", "0", "--log", "warn"];
    let dev = Dev::start(&data, &arguments);
    let quiet = dev.api();
    let (session, _) = connect_key(&quiet, "u", "up").await;
    let made = command(&data, &["project", "create", "Noisy"]);
    let noisy = Api::new(&dev.url, made["api_key"].as_str().unwrap());
    connect_key(&noisy, "u", "up").await;
    let noisy_project = made["project_id"].as_str().unwrap().to_owned();
    World { dev, folder, _upstream: upstream, quiet, session, noisy, noisy_project }
}

impl World {
    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("data/switchboard.db")
    }

    /// Times of health checks and of the quiet project's calls until told to stop.
    async fn measure(&self, stop: &AtomicBool) -> [Vec<Duration>; 2] {
        let (mut health, mut calls) = (Vec::new(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let url = format!("{}/livez", self.dev.url);
            assert_eq!(self.quiet.http.send("GET", &url, &[], "").await.status, 200);
            health.push(begun.elapsed());
            let begun = Instant::now();
            self.quiet.proxy_get(&self.session, "up", "/x").await.expect(200);
            calls.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        [health, calls]
    }

    /// The same while loops list the other project's accounts.
    async fn measure_beside_lists(&self, query: &'static str) -> [Vec<Duration>; 2] {
        let stop = Arc::new(AtomicBool::new(false));
        let lists: Vec<_> = (0..LOOPS)
            .map(|_| {
                let (api, stop) = (self.noisy.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut lists = 0;
                    while !stop.load(Ordering::Relaxed) {
                        // Only the status: reading a thousand accounts here would take the processors from
                        // what is measured.
                        assert_eq!(api.get(&format!("/connected_accounts?{query}")).await.status, 200);
                        lists += 1;
                    }
                    lists
                })
            })
            .collect();
        let times = self.measure_for(TIME).await;
        stop.store(true, Ordering::Relaxed);
        let mut made = 0;
        for list in lists {
            made += list.await.unwrap();
        }
        println!("?{query}: {made} lists in {TIME:?}");
        times
    }

    async fn measure_for(&self, time: Duration) -> [Vec<Duration>; 2] {
        let stop = Arc::new(AtomicBool::new(false));
        let later = Arc::clone(&stop);
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            later.store(true, Ordering::Relaxed);
        });
        self.measure(&stop).await
    }
}

/// `count` accounts of one user and toolkit, whose links ran out.
fn many_accounts(database: &Path, project: &str, count: usize) {
    sql(
        database,
        &format!(
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
             INSERT INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status, word_id,
               account_type, params, created_at, updated_at)
             SELECT printf('ca_%020d', n), project_id, user_id, toolkit, auth_config_id, scheme, 'EXPIRED', word_id,
               account_type, params, created_at, updated_at - n
             FROM number, (SELECT * FROM connected_accounts WHERE project_id = '{project}')"
        ),
    );
}

fn percentile(mut times: Vec<Duration>, of: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * of / 100).min(times.len() - 1)]
}

fn told(name: &str, times: &[Duration]) -> Duration {
    let [half, most, all] = [50, 99, 100].map(|of| percentile(times.to_vec(), of));
    println!("{name}: {} times, p50 {half:.1?}, p99 {most:.1?}, most {all:.1?}", times.len());
    most
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes and wants a machine of its own"]
async fn lists_of_two_hundred_thousand_accounts_delay_no_other_project() {
    let world = world().await;
    let [_, alone] = world.measure_for(TIME).await;
    told("calls with nothing beside them", &alone);
    // What the same requests cost while the project is small.
    let [_, small] = world.measure_beside_lists("limit=1").await;
    let small = told("calls beside lists of one account", &small);
    many_accounts(&world.database(), &world.noisy_project, 200_000);
    let begun = Instant::now();
    let page = world.noisy.get("/connected_accounts?limit=1").await.expect(200);
    println!("one list of 1: {:.1?}", begun.elapsed());
    assert_eq!(page["total_items"], 200_001);
    // Every way to ask: along an index, sorted, by user, by status, far into the list.
    for query in [
        "limit=1",
        "limit=1000&order_direction=asc",
        "limit=20&user_ids=u",
        "limit=20&statuses=EXPIRED",
        "limit=20&order_by=updated_at",
        "limit=20&account_type=SHARED",
        "limit=1000&cursor=MTUwLTEwMDA=",
    ] {
        let [health, calls] = world.measure_beside_lists(query).await;
        let (health, calls) = (told("  /livez", &health), told("  calls of another project", &calls));
        assert!(health < LIVEZ, "{query}: {health:?}");
        assert!(calls <= 2 * small, "{query}: {calls:?} instead of {small:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and wants a machine of its own"]
async fn deleting_a_project_beside_a_million_links_delays_no_other_project() {
    let world = world().await;
    let database = world.database();
    let project = &world.noisy_project;
    sql(
        &database,
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1000000)
         INSERT INTO links (id, project_id, account_id, token_hash, created_at, expires_at, purpose, finished_at, outcome)
         SELECT printf('lt_%020d', n), project_id, account_id, token_hash, created_at, expires_at, purpose,
           created_at, 'expired' FROM number, (SELECT * FROM links LIMIT 1)",
    );
    many_accounts(&database, project, 50_000);
    let key = command(&world.folder.path().join("data"), &["key", "create", "--organization", "--name", "test"]);
    let key = key["api_key"].as_str().unwrap().to_owned();
    let [_, before] = world.measure_for(TIME).await;
    let before = told("calls before", &before);
    let stop = Arc::new(AtomicBool::new(false));
    let (http, later) = (world.quiet.http.clone(), Arc::clone(&stop));
    let url = format!("{}/api/v3.1/org/owner/project/{project}", world.dev.url);
    // Links of the quiet project, too: writes that must not wait.
    let (quiet, session, over) = (world.quiet.clone(), world.session.clone(), Arc::clone(&stop));
    let links = tokio::spawn(async move {
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            quiet.link(&session, "up").await;
            times.push(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        times
    });
    let deletion = tokio::spawn(async move {
        let begun = Instant::now();
        let answer = http.send("DELETE", &url, &[("x-org-api-key", key.as_str())], "").await;
        println!("deleted in {:.1?}", begun.elapsed());
        later.store(true, Ordering::Relaxed);
        answer
    });
    let [health, calls] = world.measure(&stop).await;
    assert_eq!(deletion.await.unwrap().expect(200)["status"], json!("success"));
    let health = told("/livez", &health);
    let calls = told("calls of another project", &calls);
    let links = percentile(links.await.unwrap(), 100);
    println!("slowest link: {links:.1?}");
    assert!(health < LIVEZ, "{health:?}");
    assert!(calls <= (2 * before).max(Duration::from_millis(50)), "{calls:?} instead of {before:?}");
    assert!(links < Duration::from_millis(500), "{links:?}");
    let left = sql(
        &database,
        &format!("SELECT COUNT(*) FROM connected_accounts WHERE project_id = '{project}' AND deleted_at IS NULL"),
    );
    assert_eq!(left, json!([[0]]));
}
