//! The tool search at several sizes: time of a search and memory of the index. It needs no server.

use std::fmt::{self, Display};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use switchboard_search::{Document, Index, IndexBuilder, Search, Source, search};

use crate::process::Memory;
use crate::stats::{micros, percentile};

/// Sizes that are measured, in tools.
const SIZES: [usize; 2] = [10_000, 100_000];
/// Tools of a toolkit.
const OF_TOOLKIT: usize = 100;
/// Tools that a search returns.
const LIMIT: usize = 60;
/// Runs of each search, of which the fastest counts: the others waited for the processor.
const RUNS: usize = 5;

/// Results of all sizes.
#[derive(Debug, Serialize)]
pub struct Figures {
    sizes: Vec<Size>,
}

/// Results of one size.
#[derive(Debug, Serialize)]
struct Size {
    tools: usize,
    build_ms: f64,
    index_mib: f64,
    /// Growth of the process's anonymous memory, with what the allocator keeps.
    resident_mib: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| tools | index built | index | process grows by | search p50 | search p99 |\n|---:|---:|---:|---:|---:|---:|"
        )?;
        for size in &self.sizes {
            writeln!(
                f,
                "| {} | {:.0} ms | {:.1} MiB | {:.1} MiB | {:.2} ms | {:.2} ms |",
                size.tools,
                size.build_ms,
                size.index_mib,
                size.resident_mib,
                size.p50_us / 1e3,
                size.p99_us / 1e3,
            )?;
        }
        Ok(())
    }
}

/// Measures with the operations and sentences of a folder that `tests/search/prepare.py` has filled.
pub fn measure(folder: &Path) -> Result<Figures> {
    let sentences = lines(folder, "sentences.jsonl")?;
    let sentences: Vec<&str> = sentences.iter().filter_map(|line| line["text"].as_str()).collect();
    let operations = lines(folder, "operations.jsonl")?;
    let mut sizes = Vec::new();
    for size in SIZES {
        if operations.len() < size {
            bail!("{} has only {} operations: see bench/README.md", folder.display(), operations.len());
        }
        // Every n-th, so that a smaller index is of the same kind.
        let chosen = operations.iter().step_by(operations.len() / size).take(size);
        let before = anonymous_kib()?;
        let started = Instant::now();
        let index = build(chosen);
        let build = started.elapsed();
        let after = anonymous_kib()?;
        let mut times: Vec<Duration> = sentences.iter().map(|text| time(&index, text)).collect();
        times.sort_unstable();
        sizes.push(Size {
            tools: index.len(),
            build_ms: build.as_secs_f64() * 1e3,
            index_mib: mib(index.memory().div_ceil(1_024)),
            resident_mib: mib(after.saturating_sub(before)),
            p50_us: micros(percentile(&times, 50)),
            p99_us: micros(percentile(&times, 99)),
        });
    }
    Ok(Figures { sizes })
}

fn lines(folder: &Path, file: &str) -> Result<Vec<Value>> {
    let path = folder.join(file);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}: see bench/README.md", path.display()))?;
    text.lines().map(|line| serde_json::from_str(line).context("a line is not JSON")).collect()
}

fn build<'o>(operations: impl Iterator<Item = &'o Value>) -> Index {
    let mut builder = IndexBuilder::new();
    for (number, operation) in operations.enumerate() {
        let text = |key: &str| operation[key].as_str().unwrap_or_default();
        let texts = |key: &str| -> Vec<&str> {
            operation[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let toolkit = format!("toolkit{}", number / OF_TOOLKIT);
        builder.add(&Document {
            slug: &format!("{toolkit}_{number}_{}", text("name")),
            toolkit: &toolkit,
            toolkit_names: &[&toolkit],
            title: text("name"),
            description: text("description"),
            parameters: &texts("parameters"),
            parameter_texts: &texts("parameter_texts"),
            ..Document::default()
        });
    }
    builder.finish()
}

fn time(index: &Index, text: &str) -> Duration {
    let once = |_| {
        let started = Instant::now();
        let found = search(&[Source { index, allowed: None }], &Search { text, limit: LIMIT, ..Search::default() });
        let took = started.elapsed();
        std::hint::black_box(found);
        took
    };
    (0..RUNS).map(once).min().unwrap_or_default()
}

fn anonymous_kib() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let memory = Memory::read(&status).context("/proc/self/status has no memory")?;
    Ok(usize::try_from(memory.anonymous_kib)?)
}

#[expect(clippy::cast_precision_loss, reason = "a size")]
fn mib(kib: usize) -> f64 {
    kib as f64 / 1_024.0
}
