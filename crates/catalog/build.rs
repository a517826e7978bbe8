//! Compresses the built-in toolkits and their tools: they are a fifth as large, and most servers need few of them. Lists of
//! toolkits say how many tools there are, for which the tools need not be read.

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
        }
    }
    Ok(())
}

fn pack(file: &Path, text: &str) -> std::io::Result<()> {
    let mut encoder = DeflateEncoder::new(fs::File::create(file)?, Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()?.flush()
}
