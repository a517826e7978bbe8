//! Compresses the built-in toolkits' tools: they are a tenth as large, and most servers need few of them.

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
        let name = format!("{}.tools", folder.file_name().to_string_lossy());
        let mut encoder = DeflateEncoder::new(fs::File::create(out.join(name))?, Compression::best());
        encoder.write_all(&fs::read(tools)?)?;
        encoder.finish()?;
    }
    Ok(())
}
