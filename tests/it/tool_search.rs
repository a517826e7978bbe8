//! How well the search finds the built-in tools: 300 sentences of people, written before it was tuned
//! (tests/search/README.md).

use switchboard::app::tool::search::ToolIndex;
use switchboard_catalog::Catalog;
use switchboard_search::{Search, Source, search};

use crate::support::tools::root;

/// The sentences of a section, each with the slugs of the tools that answer it.
fn sentences(section: &str) -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(root().join("tests/search/sentences.txt")).unwrap();
    let of_section = text.split(&format!("[{section}]\n")).nth(1).unwrap().split("\n[").next().unwrap();
    let pairs = of_section.lines().filter_map(|line| line.split_once(" => "));
    let found: Vec<_> =
        pairs.map(|(said, slugs)| (said.to_owned(), slugs.split(' ').map(str::to_owned).collect())).collect();
    assert_eq!(found.len(), 150, "{section}");
    found
}

/// The slugs that a text finds.
fn found<'i>(index: &'i ToolIndex, text: &str, limit: usize) -> Vec<&'i str> {
    let source = Source { index: &index.index, allowed: None };
    let hits = search(&[source], &Search { text, limit, ..Search::default() }).hits;
    hits.iter().map(|hit| index.index.slug(hit.document)).collect()
}

/// The part of the sentences of a section for which one of the first five tools is right.
fn recall(index: &ToolIndex, section: &str) -> f64 {
    let sentences = sentences(section);
    let mut right = 0_u32;
    for (text, slugs) in &sentences {
        assert!(slugs.iter().all(|slug| index.index.document(slug).is_some()), "{text}: {slugs:?}");
        let found = found(index, text, 5);
        if found.iter().any(|slug| slugs.iter().any(|right| right == slug)) {
            right += 1;
        } else {
            println!("{text}: {found:?} instead of {slugs:?}");
        }
    }
    let recall = f64::from(right) / 150.0;
    println!("{section}: R@5 {recall:.3}");
    recall
}

#[test]
fn what_people_ask_for_is_among_the_first_five() {
    let index = ToolIndex::new(&Catalog::builtin());
    let named = recall(&index, "service named");
    let not_named = recall(&index, "service not named");
    assert!(named >= 0.95, "R@5 {named:.3} with the service named");
    assert!(not_named >= 0.85, "R@5 {not_named:.3} without");
}

#[test]
fn no_sentence_is_a_use_case_of_a_tool_and_every_toolkit_is_asked_for() {
    let catalog = Catalog::builtin();
    let plain = |text: &str| text.trim_matches(['.', '?', '!']).to_lowercase();
    let use_cases: Vec<String> = catalog
        .iter()
        .flat_map(|toolkit| toolkit.tools())
        .flat_map(|tool| tool.use_cases.iter().map(|text| plain(text)))
        .collect();
    let sentences: Vec<_> = ["service named", "service not named"].into_iter().flat_map(sentences).collect();
    for (text, _) in &sentences {
        assert!(!use_cases.contains(&plain(text)), "{text}");
    }
    for toolkit in catalog.iter().filter(|toolkit| toolkit.tool_count() > 0) {
        let is_asked_for = |slugs: &Vec<String>| slugs.iter().any(|slug| toolkit.tool(slug).is_some());
        assert!(sentences.iter().any(|(_, slugs)| is_asked_for(slugs)), "{}", toolkit.slug);
    }
}

#[test]
fn every_tool_is_found_by_its_own_title() {
    let catalog = Catalog::builtin();
    let index = ToolIndex::new(&catalog);
    let mut missing = Vec::new();
    for toolkit in catalog.iter() {
        for tool in toolkit.tools().iter().filter(|tool| !tool.deprecated && tool.replaced_by.is_none()) {
            let text = format!("{} {}", toolkit.name, tool.title);
            if !found(&index, &text, 10).contains(&tool.slug.as_str()) {
                missing.push((text, &tool.slug));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
