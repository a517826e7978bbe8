//! How well functions are found among thousands: sentences of the Berkeley Function Calling Leaderboard, and 10,000 real
//! operations that no sentence asks for. `scripts/setup` fetches both (tests/search/README.md).
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop where it stands")]
#![expect(clippy::cast_precision_loss, reason = "parts of small counts")]

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use switchboard_search::{Document, Index, IndexBuilder, Search, Source, search};

/// Results that are looked at: functions of one name have up to dozens of definitions.
const LIMIT: usize = 100;
const BEST: usize = 10;

fn lines(file: &str) -> Vec<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tools = std::env::var_os("SWITCHBOARD_TEST_TOOLS").map_or_else(|| root.join(".test"), PathBuf::from);
    let path = tools.join("search").join(file);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}: run scripts/setup", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().expect("a text")
}

fn texts<'v>(value: &'v Value, key: &str) -> Vec<&'v str> {
    value[key].as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

/// A slug without words, in the order of the numbers.
fn slug(number: usize) -> String {
    let letters = format!("{number:06}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect::<String>();
    format!("fn_{letters}")
}

/// The functions and operations of files, with the name of each.
fn index(files: &[&str]) -> (Index, HashMap<String, String>) {
    let mut builder = IndexBuilder::new();
    let mut names = HashMap::new();
    for function in files.iter().flat_map(|file| lines(file)) {
        let slug = slug(names.len());
        builder.add(&Document {
            slug: &slug,
            toolkit: "fn",
            title: text(&function, "name"),
            description: text(&function, "description"),
            parameters: &texts(&function, "parameters"),
            parameter_texts: &texts(&function, "parameter_texts"),
            ..Document::default()
        });
        names.insert(slug, text(&function, "name").to_owned());
    }
    (builder.finish(), names)
}

/// The place of the function that is asked for among the names that are found, from 0.
fn place(index: &Index, names: &HashMap<String, String>, sentence: &Value) -> Option<usize> {
    let source = Source { index, allowed: None };
    let found = search(&[source], &Search { text: text(sentence, "text"), limit: LIMIT, ..Search::default() });
    let mut distinct: Vec<&str> = Vec::new();
    for hit in &found.hits {
        let name = names[index.slug(hit.document)].as_str();
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct.iter().take(BEST).position(|name| *name == text(sentence, "name"))
}

#[test]
fn functions_are_found_among_ten_thousand_operations() {
    let (index, names) = index(&["functions.jsonl", "operations.jsonl"]);
    assert_eq!(index.len(), 13_108);
    let sentences = lines("sentences.jsonl");
    assert_eq!(sentences.len(), 1_911);
    let places: Vec<usize> = sentences.iter().filter_map(|sentence| place(&index, &names, sentence)).collect();
    let part = |count: usize| count as f64 / sentences.len() as f64;
    let recall = part(places.iter().filter(|place| **place < 5).count());
    // Normalised discounted cumulative gain with one right answer.
    let gain = places.iter().map(|place| 1.0 / (*place as f64 + 2.0).log2()).sum::<f64>() / sentences.len() as f64;
    println!("R@1 {:.3}, R@5 {recall:.3}, nDCG@10 {gain:.3}", part(places.iter().filter(|place| **place == 0).count()));
    assert!(recall >= 0.85, "R@5 {recall:.3}");
    assert!(gain >= 0.76, "nDCG@10 {gain:.3}");
    // 13,108 tools take less than 2 MB, so that 100,000 take less than 15.
    assert!(index.memory() < 2_000_000, "{} bytes", index.memory());
}
