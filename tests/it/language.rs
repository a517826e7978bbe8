//! The words of the project: names, comments, documents, toolkit files and names of tests use the terms of the
//! field, and no private vocabulary.
//!
//! Both lists hold words that were used once and were replaced. A new name or text that needs one of
//! them has a better word; the glossary of `docs/architecture.md` has most of them.

use std::path::Path;

use crate::architecture::{Source, sources};
use crate::support::tools::root;

/// Names that say nothing to a reader of other services, and ordinary words that are no names. Each is
/// compared with whole identifiers.
const IDENTIFIERS: &[&str] = &[
    // Ordinary words: they may stand in comments.
    "had",
    "it",
    "most",
    "said",
    "told",
    "what",
    "whole",
    // The connect flow.
    "Arrived",
    "Came",
    "Chose",
    "Departure",
    "Hindrance",
    "Told",
    "WayChosen",
    "arrive",
    "came",
    "depart",
    "disproof",
    "give_tokens_back",
    "go_on_with",
    "has_bought_tokens",
    "hindrance",
    "is_elsewhere",
    "park",
    "park_code",
    "park_entered",
    "stepped",
    // Refreshes and revocations.
    "Dead",
    "Fate",
    "Flights",
    "GiveBack",
    "Walk",
    "closed_toolkits",
    "closed_until",
    "found_way",
    "give_back",
    "goes_back",
    "goes_on",
    "goes_on_after",
    "left_alone",
    "lock_of",
    "needs_life",
    "pausing",
    "promise",
    "put_off",
    // The API and the server.
    "Asker",
    "Beyond",
    "Impatient",
    "Nobody",
    "Standing",
    "Surroundings",
    "asker",
    "authenticate_beyond",
    "cut",
    "cut_to",
    "hygiene",
    "narrowing_list",
    "narrowing_names",
    "surroundings",
    // Stores, templates and requests.
    "Place",
    "holes",
    "played_at",
    "seal_anew",
    // Constants.
    "AT_ONCE",
    "LONGEST_ASKED",
    "MOST",
    "PATIENCE",
    "PUT_OFF",
    "TOLD_FAILURES",
    "TRIES",
    "patience",
];

/// Phrases of texts for people, in lower case: archaic, vague, or about a user as a man. Each is compared with
/// whole words.
const PHRASES: &[&str] = &[
    "all the same",
    "anybody",
    "are had",
    "are said to",
    "as far as is known",
    "ask for patience",
    "asks for patience",
    "become of",
    "became of",
    "behind his back",
    "behind our back",
    "brings home",
    "come again",
    "comes home",
    "done with",
    "everybody",
    "for ever",
    "gave back",
    "give back",
    "given back",
    "gives back",
    "he",
    "him",
    "himself",
    "his",
    "in the same moment",
    "is had",
    "is said to",
    "nobody",
    "none the wiser",
    "somebody",
    "what is said of",
    "where that is not",
    "whence",
    "whoever",
];

/// Phrases that comments do not need, either.
const COMMENT_PHRASES: &[&str] = &["whom"];

/// Folders whose sources are checked. Released migrations stay as they are.
const CODE: [&str; 4] = ["bench", "src", "crates", "tests"];

/// This file has every phrase.
const THIS_FILE: &str = "tests/it/language.rs";

/// Everything in a product file that breaks the rules, with its line.
fn broken(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for line in &source.lines {
        for name in words(&line.code).filter(|name| IDENTIFIERS.contains(name)) {
            found.push(format!("{}:{}: the name {name}", source.path, line.number));
        }
    }
    found.extend(wrong_phrases(&source.path, "a comment", comments(&source.text)));
    found
}

/// The phrases that passages of a file should not have.
fn wrong_phrases(path: &str, kind: &str, passages: Vec<(usize, String)>) -> Vec<String> {
    let of_comments = if kind == "a comment" { COMMENT_PHRASES } else { &[] };
    let mut found = Vec::new();
    for (number, passage) in passages {
        let passage = format!(" {} ", words(&passage.to_lowercase()).collect::<Vec<_>>().join(" "));
        for phrase in PHRASES.iter().chain(of_comments).filter(|phrase| passage.contains(&format!(" {phrase} "))) {
            found.push(format!("{path}:{number}: \"{phrase}\" in {kind}"));
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Blocks of line comments as one text each, so that a phrase may go over a line end. With the number of
/// their first line.
fn comments(text: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut is_inside = false;
    for (index, line) in text.lines().enumerate() {
        let comment = line.trim_start().strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!']));
        match (comment, blocks.last_mut()) {
            (Some(comment), Some((_, block))) if is_inside => {
                block.push(' ');
                block.push_str(comment);
            }
            (Some(comment), _) => blocks.push((index + 1, comment.to_owned())),
            (None, _) => {}
        }
        is_inside = comment.is_some();
    }
    blocks
}

/// Passages of a Markdown document, each with the number of its first line: paragraphs, list items and rows of
/// tables. Without code, link targets, generated parts (their texts belong to the API) and log texts of earlier
/// versions.
fn passages(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let (mut is_code, mut is_generated, mut is_earlier) = (false, false, false);
    let mut begins = true;
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        is_code ^= start.starts_with("```");
        if start.starts_with("<!--") {
            is_generated = start.ends_with(": generated -->");
        }
        if start.starts_with('#') {
            is_earlier = start == "### Log texts that changed";
        }
        begins |= start.is_empty() || start.starts_with(['|', '-', '#']);
        if is_code || is_generated || is_earlier || start.is_empty() {
            continue;
        }
        match found.last_mut().filter(|_| !begins) {
            Some((_, passage)) => passage.extend([" ", &visible(line)]),
            None => found.push((index + 1, visible(line))),
        }
        begins = false;
    }
    found
}

/// A line without inline code and without the targets of its links.
fn visible(line: &str) -> String {
    let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + " " + part.split_once(')').map_or("", |(_, rest)| rest))
}

/// Paragraphs of a file whose texts for people stand between others, each with the number of its first line.
fn paragraphs(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut begins = true;
    for (index, line) in text.lines().enumerate() {
        match found.last_mut().filter(|_| !begins) {
            Some((_, paragraph)) => paragraph.extend([" ", line]),
            None => found.push((index + 1, line.to_owned())),
        }
        begins = line.trim().is_empty();
    }
    found
}

/// Names of tests as words, each with its line: functions below an attribute that says that they are one.
fn test_names(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_test = false;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if !line.starts_with(['#', '/']) {
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            let name = name.and_then(|name| name.split_once('(')).map(|(name, _)| name.replace('_', " "));
            found.extend(name.filter(|_| is_test).map(|name| (index + 1, name)));
            is_test = false;
        }
    }
    found
}

/// Our own files below a folder whose names end so, as path from the root and text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("node_modules") {
                continue;
            }
            if path.is_dir() {
                walk(&path, ending, found);
                continue;
            }
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if name.ends_with(ending) && name != THIS_FILE {
                found.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), ending, &mut found);
    found
}

/// A file of the root.
fn file(name: &str) -> (String, String) {
    (name.to_owned(), std::fs::read_to_string(root().join(name)).unwrap())
}

/// Fails with every place at which a phrase stands.
#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "use the usual word:\n  {}", found.join("\n  "));
}

#[test]
fn names_and_comments_use_the_terms_of_the_field() {
    let sources = sources();
    assert_none(&sources.iter().flat_map(broken).collect::<Vec<_>>());
}

#[test]
fn tests_are_named_and_explained_in_the_same_words() {
    let files: Vec<(String, String)> = CODE.iter().flat_map(|folder| files(folder, ".rs")).collect();
    let names: usize = files.iter().map(|(_, text)| test_names(text).len()).sum();
    assert!(names > 1_000, "only {names} names were found");
    let found = files.iter().flat_map(|(path, text)| {
        let names = wrong_phrases(path, "the name of a test", test_names(text));
        names.into_iter().chain(wrong_phrases(path, "a comment", comments(text)))
    });
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn documents_use_the_same_words() {
    let named =
        ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "fuzz/README.md"].map(file);
    let documents: Vec<_> = named.into_iter().chain(files("docs", ".md")).chain(files("tests", ".md")).collect();
    assert!(documents.len() > 15, "only {} documents were found", documents.len());
    let found = documents.iter().flat_map(|(path, text)| wrong_phrases(path, "a document", passages(text)));
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn toolkits_templates_and_settings_use_the_same_words() {
    let mut found: Vec<_> = files("toolkits", ".toml").into_iter().chain(files("templates", ".html")).collect();
    for (_, text) in &mut found {
        // What a user could say is in a user's words.
        *text = text
            .lines()
            .map(|line| if line.starts_with("use_cases") { "\n" } else { line })
            .collect::<Vec<_>>()
            .join("\n");
    }
    assert!(found.len() > 60, "only {} files were found", found.len());
    let texts = found.into_iter().chain([file("config.default.toml")]);
    let found = texts.flat_map(|(path, text)| wrong_phrases(&path, "a text", paragraphs(&text)));
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn names_and_phrases_are_found_where_they_are_wrong() {
    let file = |text: &str| Source {
        path: "a.rs".to_owned(),
        lines: crate::architecture::code_lines(text),
        text: text.to_owned(),
    };
    let text =
        "/// It had a place, and no\n/// body else: in the\n// same moment, nobody.\nlet it = cut(\"said\"); // what\n";
    assert_eq!(
        broken(&file(text)),
        [
            "a.rs:4: the name it",
            "a.rs:4: the name cut",
            "a.rs:1: \"in the same moment\" in a comment",
            "a.rs:1: \"nobody\" in a comment",
        ]
    );
    assert!(broken(&file("/// It is the most that it had.\nlet most_recent = items.cutoff();\n")).is_empty());
}

#[test]
fn phrases_are_found_in_every_kind_of_text() {
    let document = "# Some\nbody\n\nIt is [said](a.md) to\nwork for `nobody`.\n- his\n```\nhis\n```\n\
                    <!-- a: generated -->\nhis\n<!-- a: end -->\n| him |\n### Log texts that changed\n| his |\n## Next\nhe";
    assert_eq!(
        wrong_phrases("a.md", "a document", passages(document)),
        [
            "a.md:4: \"is said to\" in a document",
            "a.md:6: \"his\" in a document",
            "a.md:13: \"him\" in a document",
            "a.md:16: \"he\" in a document",
        ]
    );
    let toolkit = "# As far\nas it goes, nobody\nname = \"a\"\n\nunverified = [\"It is said to work.\"]\n";
    assert_eq!(
        wrong_phrases("a.toml", "a text", paragraphs(toolkit)),
        ["a.toml:1: \"nobody\" in a text", "a.toml:5: \"is said to\" in a text"]
    );
    let code = "#[test]\n/// Why.\n#[ignore]\nfn his_key() {}\nfn his_helper() {}\n#[tokio::test(flavor = \"multi_thread\")]\n\
                async fn it_stops_nobody() {}\n";
    assert_eq!(
        wrong_phrases("a.rs", "the name of a test", test_names(code)),
        ["a.rs:4: \"his\" in the name of a test", "a.rs:7: \"nobody\" in the name of a test"]
    );
}
