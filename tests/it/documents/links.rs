//! What documents point to exists: files, headings, log texts. And what is read first stays short.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::architecture::sources;
use crate::support::documents::read;
use crate::support::tools::root;

/// Documents and the most lines that they may have.
const SHORT: [(&str, usize); 2] = [("README.md", 150), ("docs/architecture.md", 300)];

/// All documents for people, from the root.
fn documents() -> Vec<PathBuf> {
    let named = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "bench/README.md", "fuzz/README.md"]
        .map(PathBuf::from);
    let in_docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let in_docs = in_docs.map(|name| Path::new("docs").join(name));
    let found: Vec<PathBuf> =
        named.into_iter().chain(in_docs.filter(|path| path.extension().is_some_and(|it| it == "md"))).collect();
    assert!(found.len() > 12, "{found:?}");
    found
}

/// Lines that are not inside fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((index + 1, line))
    })
}

/// A line without the text of inline code, in which brackets are no link.
fn without_code(line: &str) -> String {
    line.split('`')
        .enumerate()
        .map(|(index, part)| if index % 2 == 0 { part } else { "" })
        .collect::<Vec<_>>()
        .join("`")
}

/// Targets of `[text](target)` and `![text](target)`.
fn targets(line: &str) -> Vec<String> {
    let line = without_code(line);
    let parts = line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned()));
    parts.collect()
}

/// The anchors of a document's headings, as GitHub makes them: lower case, `-` for a blank, a number from the
/// second of a name on.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (_, line) in prose(text) {
        let Some((hashes, title)) = line.split_once(' ') else { continue };
        if hashes.is_empty() || hashes.len() > 6 || !hashes.bytes().all(|byte| byte == b'#') {
            continue;
        }
        let letters = visible(title.trim()).to_lowercase();
        let kept = letters.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = seen.entry(slug.clone()).or_default();
        found.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    found
}

/// A heading without the targets of its links.
fn visible(title: &str) -> String {
    let mut parts = title.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').map_or("", |(_, rest)| rest))
}

/// `docs/../src/a.rs` → `src/a.rs`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            part => whole.push(part),
        }
        whole
    })
}

#[test]
fn every_link_in_the_documents_resolves() {
    let mut broken = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = read(&document);
        for (number, line) in prose(&text) {
            for target in
                targets(line).iter().filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
            {
                count += 1;
                let place = format!("{}:{number}: {target}", document.display());
                let (file, anchor) =
                    target.split_once('#').map_or((target.as_str(), None), |(file, at)| (file, Some(at)));
                let folder = document.parent().unwrap();
                let path = if file.is_empty() { document.clone() } else { normal(&folder.join(file)) };
                if !root().join(&path).exists() {
                    broken.push(format!("{place}: there is no such file"));
                } else if let Some(anchor) = anchor
                    && !(path.extension().is_some_and(|it| it == "md") && anchors(&read(&path)).contains(anchor))
                {
                    broken.push(format!("{place}: there is no such heading"));
                }
            }
        }
    }
    assert!(count > 300, "only {count} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn links_and_headings_are_read_as_github_reads_them() {
    assert_eq!(targets("[a](b.md#c), ![d](e.png) and `[f](g)`, [`h`](i)"), ["b.md#c", "e.png", "i"]);
    let text = "# What `it` does, and why\n```\n# no heading\n```\n## Limits\n### Limits\n## [A link](b.md)\n#none";
    assert_eq!(anchors(text), ["what-it-does-and-why", "limits", "limits-1", "a-link"].map(str::to_owned).into());
}

#[test]
fn log_texts_that_the_manual_calls_worth_an_alert_are_written_somewhere() {
    let manual = read("docs/operating.md");
    let paragraph = manual.lines().find(|line| line.starts_with("Worth an alert")).unwrap();
    let quoted: Vec<&str> =
        paragraph.split('`').skip(1).step_by(2).map(|text| text.trim_end_matches([' ', '…'])).collect();
    assert!(quoted.len() > 6, "{quoted:?}");
    let sources = sources();
    let literals: Vec<&String> =
        sources.iter().flat_map(|source| &source.lines).flat_map(|line| &line.strings).collect();
    let missing: Vec<&&str> = quoted.iter().filter(|text| !literals.iter().any(|it| it.starts_with(**text))).collect();
    assert!(missing.is_empty(), "docs/operating.md calls texts worth an alert that nothing logs: {missing:?}");
}

#[test]
fn documents_that_are_read_first_are_short() {
    for (path, most) in SHORT {
        let lines = read(path).lines().count();
        assert!(lines <= most, "{path} has {lines} lines, and may have {most}");
    }
}

/// A walk is short enough to follow with the files open.
#[test]
fn the_numbered_steps_of_each_walk_stay_in_five_files() {
    let map = read("docs/architecture.md");
    let walks: Vec<&str> = map.split("\n## ").filter(|section| section.starts_with("Walk ")).collect();
    assert_eq!(walks.len(), 4);
    for walk in walks {
        let title = walk.lines().next().unwrap();
        let steps = walk.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        let is_source = |target: &String| Path::new(target).extension().is_some_and(|extension| extension == "rs");
        let files: BTreeSet<String> = steps.flat_map(targets).filter(is_source).collect();
        assert!((3..=5).contains(&files.len()), "{title}: {files:#?}");
    }
}
