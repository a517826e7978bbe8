//! The words of `data/`: which say nothing, which mean the same, which are one term, and which tell the effect.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::document::Effect;
use crate::words::Words;

/// What is known about words, by their stems.
pub(crate) struct Vocabulary {
    stop_words: HashSet<String>,
    /// Of each stem, those that mean the same.
    synonyms: HashMap<String, Vec<String>>,
    /// By their first stem: the further ones, and the term.
    phrases: HashMap<String, Vec<(Vec<String>, String)>>,
    effects: HashMap<String, Effect>,
}

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::read);

/// The vocabulary, read at the first use.
pub(crate) fn vocabulary() -> &'static Vocabulary {
    &VOCABULARY
}

impl Vocabulary {
    fn read() -> Self {
        let words = Words::new();
        let stems = |line: &str| -> Vec<String> { line.split_whitespace().map(|word| words.stem(word)).collect() };
        let stop_words = lines(include_str!("../data/stop_words.txt")).flat_map(stems).collect();
        let mut synonyms: HashMap<String, Vec<String>> = HashMap::new();
        for group in lines(include_str!("../data/synonyms.txt")).map(stems) {
            for stem in &group {
                let others = synonyms.entry(stem.clone()).or_default();
                for other in group.iter().filter(|other| *other != stem) {
                    if !others.contains(other) {
                        others.push(other.clone());
                    }
                }
            }
        }
        let mut phrases: HashMap<String, Vec<(Vec<String>, String)>> = HashMap::new();
        for (phrase, term) in lines(include_str!("../data/phrases.txt")).filter_map(|line| line.split_once(" = ")) {
            let mut stems = stems(phrase);
            if !stems.is_empty() {
                phrases.entry(stems.remove(0)).or_default().push((stems, words.stem(term)));
            }
        }
        let mut effects = HashMap::new();
        for (effect, listed) in lines(include_str!("../data/effects.txt")).filter_map(|line| line.split_once(" = ")) {
            let effect = match effect {
                "read" => Effect::Read,
                "create" => Effect::Create,
                "update" => Effect::Update,
                _ => Effect::Destructive,
            };
            effects.extend(stems(listed).into_iter().map(|stem| (stem, effect)));
        }
        Self { stop_words, synonyms, phrases, effects }
    }

    /// Whether a stem says nothing about a tool.
    pub fn is_stop_word(&self, stem: &str) -> bool {
        self.stop_words.contains(stem)
    }

    /// The stems that mean the same.
    pub fn synonyms(&self, stem: &str) -> &[String] {
        self.synonyms.get(stem).map(Vec::as_slice).unwrap_or_default()
    }

    /// The term of a phrase that begins with these stems, and the number of its words.
    pub fn phrase<'s>(&self, stems: &[impl AsRef<str> + 's]) -> Option<(&str, usize)> {
        let (first, rest) = stems.split_first()?;
        let found = self.phrases.get(first.as_ref())?.iter().find(|(further, _)| {
            rest.len() >= further.len() && further.iter().zip(rest).all(|(one, other)| *one == other.as_ref())
        });
        found.map(|(further, term)| (term.as_str(), further.len() + 1))
    }

    /// The effect that a verb tells.
    pub fn effect(&self, stem: &str) -> Option<Effect> {
        self.effects.get(stem).copied()
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_by_their_stems() {
        let known = vocabulary();
        assert!(known.is_stop_word("the") && !known.is_stop_word("messag"));
        assert!(known.synonyms("messag").iter().any(|synonym| synonym == "send"));
        assert!(known.synonyms("lighthous").is_empty());
        assert_eq!(known.phrase(&["pull", "request", "merg"]), Some(("pr", 2)));
        assert_eq!(known.phrase(&["pull"]), None);
        assert_eq!(known.effect("delet"), Some(Effect::Destructive));
    }

    #[test]
    fn every_line_of_the_data_has_its_form() {
        for text in [include_str!("../data/phrases.txt"), include_str!("../data/effects.txt")] {
            assert!(lines(text).all(|line| line.split_once(" = ").is_some()));
        }
        let effects: Vec<&str> =
            lines(include_str!("../data/effects.txt")).filter_map(|line| line.split(" = ").next()).collect();
        assert_eq!(effects, ["read", "create", "update", "destructive"]);
        assert!(lines(include_str!("../data/synonyms.txt")).all(|line| line.split_whitespace().count() > 1));
    }
}
