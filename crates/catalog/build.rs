//! Compresses the built-in toolkits and their tools: they are a fifth as large, and most servers need few of them. Lists of
//! toolkits say how many tools there are, for which the tools need not be read.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let toolkits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../toolkits");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", toolkits.display());
    for folder in fs::read_dir(toolkits)? {
        let folder = folder?;
        let slug = folder.file_name().to_string_lossy().into_owned();
        for kind in ["toolkit", "tools"] {
            let file = folder.path().join(format!("{kind}.toml"));
            if !file.exists() {
                continue;
            }
            println!("cargo:rerun-if-changed={}", file.display());
            let text = fs::read_to_string(file)?;
            pack(&out.join(format!("{slug}.{kind}")), &text)?;
            let count = text.lines().filter(|line| line.trim() == "[[tools]]").count();
            fs::write(out.join(format!("{slug}.count")), count.to_string())?;
            if kind == "toolkit" {
                for key in ["name", "version"] {
                    fs::write(out.join(format!("{slug}.{key}")), value(&text, key)?)?;
                }
            } else {
                fs::write(out.join(format!("{slug}.digest")), HEXLOWER.encode(&Sha256::digest(&text)))?;
            }
        }
    }
    Ok(())
}

/// The value of a key at the root of a toolkit file, so that a release is known without reading the file. A test
/// compares it with what is read.
fn value(text: &str, key: &str) -> Result<String, String> {
    let start = format!("{key} = \"");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    let value = line.and_then(|line| line.trim_end().strip_suffix('"'));
    value
        .map(str::to_owned)
        .ok_or_else(|| format!("no line `{start}…\"` in {}", text.lines().next().unwrap_or_default()))
}

fn pack(file: &Path, text: &str) -> std::io::Result<()> {
    let mut encoder = DeflateEncoder::new(fs::File::create(file)?, Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()?.flush()
}
