//! Behaviour under strain: clients that read nothing, slow clients, more clients than connection slots,
//! responses of ten megabytes, a log that cannot be written. The criteria are that `/livez` responds, and
//! memory.

use std::fmt;
use std::io::{PipeReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::forward;
use crate::load::{Connection, request};
use crate::process::Process;
use crate::product::{Product, write_toolkit};
use crate::proxy::{FORM, TOOLKIT, start_own};
use crate::rounds::Bench;
use crate::stats::percentile;

/// Goals for `/livez` and for resident memory.
const LIVEZ_GOAL: Duration = Duration::from_millis(100);
const RESIDENT_GOAL_MIB: u32 = 512;
/// Timeout of `/livez`; after it the probe counts as lost.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between probes.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
/// Receive buffers, in bytes, of a client that does not read and of one that does.
const SMALL_BUFFER: u32 = 4_096;
const BUFFER: u32 = 256 * 1_024;
/// Number of local addresses that clients connect from.
const ADDRESSES: usize = 100;

/// Results.
#[derive(Debug, Serialize)]
pub struct Strain {
    rows: Vec<Row>,
}

/// One scenario.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    probes: usize,
    lost: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    resident_mib: u32,
    /// Additional information.
    note: String,
}

/// Runs all scenarios, each with its own server.
pub async fn measure(bench: &Bench<'_>) -> Result<Strain> {
    rlimit::increase_nofile_limit(u64::MAX).context("cannot open enough files")?;
    let upstream = start_own(bench, &["--upstream"])?;
    let toolkits = write_toolkit(&bench.folder, TOOLKIT, upstream.address())?;
    let mut rows = Vec::new();
    let start = |name: &str| Product::start(bench, bench.first()?, &bench.folder.join(name), Some(&toolkits));
    eprintln!("8,300 clients that read nothing");
    rows.push(never_read(&start("never-read")?).await?);
    eprintln!("2,000 clients, a tenth of them slow");
    rows.push(slow(&start("slow")?).await?);
    for (name, callers, reads) in [
        ("60 answers of 10 MB that are not read", 60, false),
        ("60 answers of 10 MB that are read", 60, true),
        ("500 answers of 10 MB that are read", 500, true),
    ] {
        eprintln!("{name}");
        rows.push(large(&start(name)?, name, callers, reads).await?);
    }
    for (name, log, _reader) in logs()? {
        eprintln!("{name}");
        let product = Product::start_logging(bench, &bench.folder.join(name), &toolkits, log)?;
        rows.push(logging(&product, name).await?);
    }
    Ok(Strain { rows })
}

/// A log with a closed reader, one with a blocked reader, one on a full disk.
fn logs() -> Result<[(&'static str, Stdio, Option<PipeReader>); 3]> {
    let (gone, closed) = std::io::pipe()?;
    drop(gone);
    let (still, stalled) = std::io::pipe()?;
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
    Ok([
        ("log: its reader has gone", closed.into(), None),
        ("log: its reader stands still", stalled.into(), Some(still)),
        ("log: the disk is full", full.into(), None),
    ])
}

/// Probes `/livez` on new connections and measures memory while a load runs.
async fn probed(name: &'static str, server: &Process, load: impl Future<Output = Result<String>>) -> Result<Row> {
    let stop = Arc::new(AtomicBool::new(false));
    // On its own thread: it measures the server, not the clients on the runtime.
    let probing = thread::spawn({
        let (stop, address) = (Arc::clone(&stop), server.address());
        move || probe_on(address, &stop)
    });
    let mut resident = 0;
    let looking = async {
        loop {
            match server.resident_kib() {
                Ok(kib) => resident = resident.max(kib),
                Err(error) => break error,
            }
            tokio::time::sleep(PROBE_PAUSE).await;
        }
    };
    let note = tokio::select! {
        note = load => note,
        ended = looking => Err(ended),
    };
    stop.store(true, Ordering::Relaxed);
    let (took, lost) = probing.join().ok().context("the probe panicked")?;
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok(Row {
        name,
        probes: took.len() + lost,
        lost,
        p50_ms: ms(percentile(&took, 50)),
        p99_ms: ms(percentile(&took, 99)),
        max_ms: ms(took.last().copied().unwrap_or_default()),
        resident_mib: resident / 1_024,
        note: note?,
    })
}

/// Sorted times, and the number of lost probes.
fn probe_on(address: SocketAddr, stop: &AtomicBool) -> (Vec<Duration>, usize) {
    let (mut took, mut lost) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        match livez(address) {
            Ok(()) => took.push(started.elapsed()),
            Err(_) => lost += 1,
        }
        thread::sleep(PROBE_PAUSE);
    }
    took.sort_unstable();
    (took, lost)
}

fn livez(address: SocketAddr) -> Result<()> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.write_all(&request("GET", "/livez", address, &[("connection", "close")], ""))?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "no answer");
    Ok(())
}

/// Connects from one of many addresses, with a given receive buffer.
async fn connect(number: usize, to: SocketAddr, buffer: u32) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(buffer)?;
    let last = u8::try_from(number % ADDRESSES + 2)?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    Ok(socket.connect(to).await?)
}

async fn never_read(product: &Product) -> Result<Row> {
    const CLIENTS: usize = 8_300;
    let server = &product.process;
    let ask = Arc::new(request("GET", "/assets/connect.css", server.address(), &[], "").repeat(700));
    let load = async {
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (ask, to) = (Arc::clone(&ask), server.address());
            clients.spawn(async move {
                let mut stream = connect(number, to, SMALL_BUFFER).await?;
                // Blocks while the responses are not read, and fails when the server is gone.
                let _ = tokio::time::timeout(Duration::from_secs(40), stream.write_all(&ask)).await;
                anyhow::Ok(stream)
            });
            if number % 100 == 99 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let open_files = server.open_files()?;
        let end = tokio::time::sleep(Duration::from_secs(40));
        let mut streams = Vec::new();
        while let Some(stream) = clients.join_next().await {
            streams.extend(stream?);
        }
        end.await;
        Ok(format!("{open_files} files open at first, {} after 40 s", server.open_files()?))
    };
    probed("8,300 clients that read nothing", server, load).await
}

async fn slow(product: &Product) -> Result<Row> {
    const CLIENTS: usize = 2_000;
    const SECONDS: u64 = 30;
    let server = &product.process;
    let answers = Arc::new(AtomicUsize::new(0));
    let ask = Arc::new(product.api_request("GET", "/toolkits?limit=20", &json!(null)));
    let load = async {
        let end = Instant::now() + Duration::from_secs(SECONDS);
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let (ask, to, answers) = (Arc::clone(&ask), server.address(), Arc::clone(&answers));
            clients.spawn(async move {
                if number % 10 == 0 {
                    read_slowly(connect(number, to, SMALL_BUFFER).await?, &ask, end).await
                } else {
                    read_well(number, to, &ask, end, &answers).await
                }
            });
        }
        let mut failed = 0;
        while let Some(client) = clients.join_next().await {
            failed += usize::from(client?.is_err());
        }
        let per_second = answers.load(Ordering::Relaxed) as u64 / SECONDS;
        Ok(format!("{per_second} answers a second, {failed} clients failed"))
    };
    probed("2,000 clients, a tenth slow", server, load).await
}

/// One request every few seconds, with the response read at once. Reconnects when the server closed an idle
/// connection.
async fn read_well(number: usize, to: SocketAddr, ask: &[u8], end: Instant, answers: &AtomicUsize) -> Result<()> {
    while Instant::now() < end {
        let mut connection = Connection::over(connect(number, to, BUFFER).await?);
        while Instant::now() < end {
            let Ok(answer) = connection.exchange(ask).await else { break };
            anyhow::ensure!(answer.status == 200, "{}", answer.status);
            answers.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
    }
    Ok(())
}

/// Reads a kilobyte every tenth of a second.
async fn read_slowly(mut stream: TcpStream, ask: &[u8], end: Instant) -> Result<()> {
    stream.write_all(&ask.repeat(20)).await?;
    let mut piece = [0; 1_024];
    while Instant::now() < end && stream.read(&mut piece).await? > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn large(product: &Product, name: &'static str, callers: usize, reads: bool) -> Result<Row> {
    let server = &product.process;
    let session = product.sessions(1).await?.pop().context("no session")?;
    product.connect(&session, TOOLKIT, FORM).await?;
    let body = json!({ "toolkit_slug": TOOLKIT, "endpoint": forward::LARGE_PATH, "method": "GET" });
    let ask = Arc::new(product.session_request(&session, "proxy_execute", &body));
    let load = async {
        let mut calls = JoinSet::new();
        for number in 0..callers {
            let (ask, to) = (Arc::clone(&ask), server.address());
            calls.spawn(async move { call(number, to, &ask, reads).await });
        }
        let (mut complete, mut refused, mut truncated) = (0, 0, 0);
        while let Some(outcome) = calls.join_next().await {
            match outcome? {
                Ok(200) => complete += 1,
                Ok(_) => refused += 1,
                Err(_) => truncated += 1,
            }
        }
        Ok(format!("{complete} complete, {refused} refused, {truncated} truncated"))
    };
    probed(name, server, load).await
}

/// The status of a call. With `reads` the response is read at once, otherwise only after every server
/// timeout.
async fn call(number: usize, to: SocketAddr, ask: &[u8], reads: bool) -> Result<u16> {
    if reads {
        let mut connection = Connection::over(connect(number, to, BUFFER).await?);
        connection.send(ask).await?;
        return connection.skip_answer().await;
    }
    let mut connection = Connection::over(connect(number, to, SMALL_BUFFER).await?);
    connection.send(ask).await?;
    tokio::time::sleep(Duration::from_secs(40)).await;
    connection.skip_answer().await
}

async fn logging(product: &Product, name: &'static str) -> Result<Row> {
    let server = &product.process;
    let ask = Arc::new(product.api_request("GET", "/toolkits?limit=1", &json!(null)));
    let answers = Arc::new(AtomicUsize::new(0));
    let load = async {
        let end = Instant::now() + Duration::from_secs(10);
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            let (ask, to, answers) = (Arc::clone(&ask), server.address(), Arc::clone(&answers));
            clients.spawn(async move {
                let mut connection = Connection::open(to).await?;
                while Instant::now() < end {
                    anyhow::ensure!(connection.exchange(&ask).await?.status == 200);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            });
        }
        let mut failed = 0;
        while let Some(client) = clients.join_next().await {
            failed += usize::from(client?.is_err());
        }
        Ok(format!("{} answers a second, {failed} clients failed", answers.load(Ordering::Relaxed) / 10))
    };
    probed(name, server, load).await
}

impl fmt::Display for Strain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | /livez p50 ms | p99 ms | max ms | lost | resident MiB | goals | |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---|---|")?;
        for row in &self.rows {
            let is_met =
                row.lost == 0 && row.p99_ms < LIVEZ_GOAL.as_secs_f64() * 1e3 && row.resident_mib <= RESIDENT_GOAL_MIB;
            writeln!(
                f,
                "| {} | {:.1} | {:.1} | {:.1} | {} of {} | {} | {} | {} |",
                row.name,
                row.p50_ms,
                row.p99_ms,
                row.max_ms,
                row.lost,
                row.probes,
                row.resident_mib,
                if is_met { "met" } else { "missed" },
                row.note
            )?;
        }
        Ok(())
    }
}
