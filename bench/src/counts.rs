//! Writes to files and syncs per link, at one connection. Unlike times they do not depend on the machine.

use anyhow::Result;
use serde::Serialize;

#[cfg(target_os = "linux")]
use crate::calls::{Follower, all_but};
use crate::link::{baseline_target, start_baseline};
use crate::load::{Connection, Target};
use crate::product::{Product, SESSIONS};
use crate::rounds::Bench;
use crate::stats::float;

/// Links that are counted, and links before them.
const LINKS: usize = 500;
const WARM_UP: usize = 100;
/// Thread whose calls depend on the time that passes, not on the number of links.
const CHECKPOINT: &str = "store-checkpoint";

/// System calls per link of one server, without those of its checkpoints.
#[derive(Debug, Serialize)]
pub struct Count {
    /// The server.
    pub name: String,
    /// `pwrite64` and its relatives.
    pub writes: f64,
    /// `fsync` and `fdatasync`.
    pub syncs: f64,
}

/// Counts for the baseline and for all builds.
pub async fn measure(bench: &Bench<'_>) -> Result<Vec<Count>> {
    let baseline = start_baseline(bench, "counts-baseline")?;
    let mut counts = vec![count(&baseline_target(&baseline)).await?];
    for (build, product) in bench.builds.iter().zip(Product::start_all(bench, "counts", None)?) {
        let requests = product.link_requests(&product.sessions(SESSIONS).await?).await?;
        let target = Target { name: build.name.clone(), process: &product.process, requests: requests.into() };
        counts.push(count(&target).await?);
    }
    Ok(counts)
}

async fn count(target: &Target<'_>) -> Result<Count> {
    eprintln!("counts: {}", target.name);
    let mut connection = Connection::open(target.process.address()).await?;
    send(target, &mut connection, WARM_UP).await?;
    let (writes, syncs) = follow(target, &mut connection).await?;
    Ok(Count { name: target.name.clone(), writes: writes / float(LINKS), syncs: syncs / float(LINKS) })
}

#[cfg(target_os = "linux")]
#[expect(clippy::cast_precision_loss, reason = "some thousands of calls")]
async fn follow(target: &Target<'_>, connection: &mut Connection) -> Result<(f64, f64)> {
    let follower = Follower::start(target.process.id()?)?;
    send(target, connection, LINKS).await?;
    let calls = all_but(&follower.finish()?, CHECKPOINT);
    Ok((calls.writes as f64, calls.syncs as f64))
}

#[cfg(not(target_os = "linux"))]
async fn follow(_: &Target<'_>, _: &mut Connection) -> Result<(f64, f64)> {
    anyhow::bail!("system calls are counted on Linux only");
}

async fn send(target: &Target<'_>, connection: &mut Connection, number: usize) -> Result<()> {
    for request in target.requests.iter().cycle().take(number) {
        let status = connection.exchange(request).await?.status;
        anyhow::ensure!((200..300).contains(&status), "{} answered {status}", target.name);
    }
    Ok(())
}
