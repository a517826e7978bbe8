//! The words of the code: names and comments use the terms of the field, and no private vocabulary.
//!
//! Both lists hold words that were used once and were replaced. A new name or comment that needs one of
//! them has a better word; the glossary of `docs/architecture.md` has most of them.

use crate::architecture::{Source, sources};

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

/// Phrases of comments, in lower case: archaic, vague, or about a user as a man. Each is compared with
/// whole words.
const PHRASES: &[&str] = &[
    "all the same",
    "anybody",
    "are had",
    "become of",
    "became of",
    "behind his back",
    "behind our back",
    "done with",
    "everybody",
    "for ever",
    "gave back",
    "give back",
    "given back",
    "gives back",
    "he",
    "him",
    "his",
    "in the same moment",
    "is had",
    "nobody",
    "none the wiser",
    "somebody",
    "what is said of",
    "where that is not",
    "whence",
    "whoever",
    "whom",
];

/// Everything in a file that breaks the rules, with its line.
fn broken(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for line in &source.lines {
        for name in words(&line.code).filter(|name| IDENTIFIERS.contains(name)) {
            found.push(format!("{}:{}: the name {name}", source.path, line.number));
        }
    }
    for (number, comment) in comments(&source.text) {
        let comment = format!(" {} ", words(&comment.to_lowercase()).collect::<Vec<_>>().join(" "));
        for phrase in PHRASES.iter().filter(|phrase| comment.contains(&format!(" {phrase} "))) {
            found.push(format!("{}:{number}: \"{phrase}\" in a comment", source.path));
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

#[test]
fn names_and_comments_use_the_terms_of_the_field() {
    let sources = sources();
    let found: Vec<String> = sources.iter().flat_map(broken).collect();
    assert!(found.is_empty(), "use the usual word:\n  {}", found.join("\n  "));
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
