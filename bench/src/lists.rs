//! A client that lists all accounts of a project page by page, over and over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::access::Access;
use crate::load::Connection;

/// Accounts of one page.
const LIMIT: usize = 1_000;
/// More than is behind the items of a page, in bytes.
const TAIL: usize = 1_024;
/// Pause after an answer that is no page.
const PAUSE: Duration = Duration::from_millis(100);

/// What was read.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Listed {
    /// Pages.
    pub pages: usize,
    /// Lists that were read to their last page.
    pub lists: usize,
    /// Other statuses than 200.
    pub errors: usize,
}

/// The client. It also ends with the server.
pub struct Lister {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Listed>>,
}

impl Lister {
    /// Starts it on a thread of its own: a page is a megabyte, and reading it would delay the other requests.
    pub fn start(access: Access) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new().name("lists".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(list(&access, &told))
        });
        Ok(Self { stop, thread: thread.context("cannot start a thread")? })
    }

    /// Stops it after the page that it reads.
    pub fn finish(self) -> Result<Listed> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the client that lists panicked")?
    }
}

async fn list(access: &Access, stop: &AtomicBool) -> Result<Listed> {
    let mut connection = Connection::open(access.address()).await?;
    let mut listed = Listed::default();
    let mut cursor: Option<String> = None;
    while !stop.load(Ordering::Relaxed) {
        let from = cursor.take().map_or_else(String::new, |cursor| format!("&cursor={}", encoded(&cursor)));
        let path = format!("/connected_accounts?limit={LIMIT}{from}");
        let answer = connection.exchange(&access.request("GET", &path, &Value::Null)).await?;
        if answer.status != 200 {
            listed.errors += 1;
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        cursor = next_cursor(answer.body)?;
        listed.pages += 1;
        listed.lists += usize::from(cursor.is_none());
    }
    Ok(listed)
}

/// The cursor of the next page, behind the items; `None` on the last page. The items are not parsed: that would take
/// the processors from what is measured.
fn next_cursor(page: &[u8]) -> Result<Option<String>> {
    let end = page.get(page.len().saturating_sub(TAIL)..).unwrap_or_default();
    let end = String::from_utf8_lossy(end);
    let (_, value) = end.rsplit_once("\"next_cursor\":").context("a page has no next_cursor")?;
    Ok(value.strip_prefix('"').and_then(|value| value.split('"').next()).map(ToOwned::to_owned))
}

/// Base64 in a query.
fn encoded(cursor: &str) -> String {
    cursor.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_found_behind_the_items() {
        let page = |cursor: &str| {
            let items = r#"{"note":"\"next_cursor\":\"no\""}"#.repeat(100);
            format!(r#"{{"items":[{items}],"next_cursor":{cursor},"total_pages":2,"total_items":1001}}"#)
        };
        assert_eq!(next_cursor(page(r#""Mi0x+A==""#).as_bytes()).unwrap().as_deref(), Some("Mi0x+A=="));
        assert_eq!(next_cursor(page("null").as_bytes()).unwrap(), None);
        assert!(next_cursor(b"{}").is_err());
    }

    #[test]
    fn a_cursor_is_encoded_for_a_query() {
        assert_eq!(encoded("a+b/c=="), "a%2Bb%2Fc%3D%3D");
    }
}
