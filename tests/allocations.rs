//! How often the server allocates memory for a link, a proxied call, a session and a poll. Unlike times, these counts are the
//! same on every machine, so that a change that makes requests dearer fails here.
//!
//! The whole service runs in this process, under an allocator that counts. Provider and client are threads
//! that allocate nothing for a request. SQLite's own memory does not come from this allocator. The limits are
//! a little above what a debug build has, which checks more than a release build: lower them when requests
//! become cheaper.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::support::http::Api;
use crate::support::server::TestServer;

#[expect(dead_code, reason = "the other tests use all of it")]
#[path = "it/support"]
mod support {
    pub mod clock;
    pub mod http;
    pub mod server;
}

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Most allocations of a link, reallocations included.
const MOST_PER_LINK: f64 = 60.0;
/// Most allocations of a new session, reallocations included.
const MOST_PER_SESSION: f64 = 61.0;
/// Most allocations of a poll of an account, reallocations included.
const MOST_PER_POLL: f64 = 27.0;
/// Most allocations of a proxied call, reallocations included; its row in the log of calls has ten of them.
const MOST_PER_CALL: f64 = 100.0;
/// Requests that are counted, and requests before them, which fill caches and pools.
const REQUESTS: u32 = 200;
const WARM_UP: u32 = 100;

/// What one request costs.
struct Cost {
    allocations: f64,
    bytes: f64,
}

/// A keep-alive connection that allocates nothing for a request.
struct Client {
    stream: TcpStream,
    received: Box<[u8; 16_384]>,
}

impl Client {
    fn connect(api: &Api) -> Self {
        let stream = TcpStream::connect(host(api)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, received: Box::new([0; 16_384]) }
    }

    /// Sends a request and reads its response; the status.
    fn exchange(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).unwrap();
        let mut length = 0;
        loop {
            let read = self.stream.read(&mut self.received[length..]).unwrap();
            assert_ne!(read, 0, "the server closed the connection, or its response is too large");
            length += read;
            let Some(end) = end_of_message(&self.received[..length]) else { continue };
            if length >= end {
                return std::str::from_utf8(&self.received[9..12]).unwrap().parse().unwrap();
            }
        }
    }

    /// What a request costs on average.
    fn cost(&mut self, request: &[u8], status: u16) -> Cost {
        for _ in 0..WARM_UP {
            assert_eq!(self.exchange(request), status);
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..REQUESTS {
            assert_eq!(self.exchange(request), status);
        }
        let change = region.change();
        let per_request = |number: usize| f64::from(u32::try_from(number).unwrap()) / f64::from(REQUESTS);
        Cost {
            allocations: per_request(change.allocations + change.reallocations),
            bytes: per_request(change.bytes_allocated),
        }
    }
}

/// Length of a request or response with a `content-length`, or without a body, once its head is complete.
fn end_of_message(bytes: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let value = bytes[..head].windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME));
    let digits = value.map_or(&[][..], |at| &bytes[at + NAME.len()..head]);
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}

/// A provider with one kilobyte of JSON, on a thread that allocates nothing for a request.
fn start_provider() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let body = json!({ "id": "user-1", "note": "x".repeat(1_000) }).to_string();
    let response =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let response = response.clone();
            std::thread::spawn(move || serve(&mut stream, response.as_bytes()));
        }
    });
    host
}

fn serve(stream: &mut TcpStream, response: &[u8]) {
    let mut received = [0; 4_096];
    let mut length = 0;
    while let Ok(read @ 1..) = stream.read(&mut received[length..]) {
        length += read;
        if end_of_message(&received[..length]).is_some_and(|end| length >= end) {
            length = 0;
            if stream.write_all(response).is_err() {
                return;
            }
        }
    }
}

fn host(api: &Api) -> &str {
    api.base.strip_prefix("http://").unwrap().split('/').next().unwrap()
}

/// Bytes of a request. `body` is null for none.
fn request(api: &Api, method: &str, path: &str, body: &Value) -> Vec<u8> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    format!(
        "{method} /api/v3.1{path} HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        host(api),
        api.key,
        body.len()
    )
    .into_bytes()
}

/// Connects the session's user by filling in the form of a link. The account.
async fn connect(api: &Api, session: &str) -> String {
    let link = api.link(session, "up").await;
    let page = link["redirect_url"].as_str().unwrap();
    assert_eq!(api.http.send("GET", page, &[], "").await.status, 200);
    let browser = [("sec-fetch-site", "same-origin"), ("content-type", "application/x-www-form-urlencoded")];
    api.http.send("POST", page, &browser, "generic_api_key=key-0123456789").await;
    let account = link["connected_account_id"].as_str().unwrap();
    assert_eq!(api.status(account).await, "ACTIVE");
    account.to_owned()
}

fn toolkit(host: &str) -> String {
    format!(
        "slug = \"up\"\nname = \"Provider\"\ndescription = \"One kilobyte of JSON\"\ncategories = [\"testing\"]\n\
         color = \"#336699\"\nversion = \"20261122_00\"\nbase_url = \"http://{host}\"\nhosts = [\"{host}\"]\n\
         [[api_key.fields]]\nname = \"generic_api_key\"\ndisplay_name = \"API key\"\nsecret = true\n\
         [[api_key.apply]]\nheader = \"X-Api-Key\"\nvalue = \"{{generic_api_key}}\"\n"
    )
}

// One test: the counts are those of the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn requests_allocate_no_more_than_they_did() {
    // Requests are logged as the program logs them.
    switchboard::log::start("warn,switchboard=info", false).unwrap();
    let server = TestServer::builder().toolkit("up", &toolkit(&start_provider())).start().await;
    let api = &server.api;
    let session = api.session("user-1", "up").await;
    let account = connect(api, &session).await;
    let linked = api.session("user-2", "sandbox").await;

    let mut client = Client::connect(api);
    let call = json!({ "toolkit_slug": "up", "endpoint": "/me", "method": "GET" });
    let new = json!({ "user_id": "user-3", "toolkits": { "enable": ["sandbox"] } });
    let costs = [
        (
            "link",
            MOST_PER_LINK,
            "POST",
            format!("/tool_router/session/{linked}/link"),
            json!({ "toolkit": "sandbox" }),
            201,
        ),
        ("call", MOST_PER_CALL, "POST", format!("/tool_router/session/{session}/proxy_execute"), call, 200),
        ("session", MOST_PER_SESSION, "POST", "/tool_router/session".to_owned(), new, 201),
        ("poll", MOST_PER_POLL, "GET", format!("/connected_accounts/{account}"), Value::Null, 200),
    ];
    let costs = costs.map(|(name, most, method, path, body, status)| {
        (name, most, client.cost(&request(api, method, &path, &body), status))
    });
    for (name, _, cost) in &costs {
        println!("{name}: {:.1} allocations, {:.0} bytes", cost.allocations, cost.bytes);
    }
    for (name, most, cost) in &costs {
        assert!(cost.allocations <= *most, "{name}: {:.1} allocations, {:.0} bytes", cost.allocations, cost.bytes);
    }
}
