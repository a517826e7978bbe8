//! Compresses the built-in toolkits' tools: they are a tenth as large, and most servers need few of them. Lists of
//! toolkits say how many there are, for which they need not be read.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let toolkits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../toolkits");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", toolkits.display());
    for folder in fs::read_dir(toolkits)? {
        let folder = folder?;
        let tools = folder.path().join("tools.toml");
        if !tools.exists() {
            continue;
        }
        println!("cargo:rerun-if-changed={}", tools.display());
        let slug = folder.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(tools)?;
        let mut encoder =
            DeflateEncoder::new(fs::File::create(out.join(format!("{slug}.tools")))?, Compression::best());
        encoder.write_all(text.as_bytes())?;
        encoder.finish()?;
        let count = text.lines().filter(|line| line.trim() == "[[tools]]").count();
        fs::write(out.join(format!("{slug}.count")), count.to_string())?;
    }
    Ok(())
}
