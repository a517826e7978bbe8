//! Names of tools and arguments.

use std::collections::BTreeSet;

use data_encoding::HEXUPPER;
use sha2::{Digest, Sha256};

use crate::text::words;

/// Maximum length of a name: the limit of the vendors of models.
pub(crate) const MAX_NAME: usize = 64;
/// Words that a name is understood without.
const FILLERS: [&str; 14] = ["a", "an", "the", "of", "for", "to", "by", "and", "in", "on", "with", "from", "at", "as"];
/// Names of arguments with a meaning in templates.
const RESERVED: [&str; 2] = [switchboard_catalog::CALL_ID, switchboard_catalog::ITEM];

/// The words of a tool's name: those of the operation's id, else of its method and path.
pub(crate) fn tool_words(id: Option<&str>, method: &str, path: &str, toolkit: &[String]) -> Vec<String> {
    // Some generators add the path after two underscores.
    let own = id.map(|id| id.split_once("__").map_or(id, |(own, _)| if own.is_empty() { id } else { own }));
    let mut found = own.map(words).unwrap_or_default();
    if found.is_empty() {
        found.push(method.to_ascii_lowercase());
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
                Some(name) => {
                    found.push("by".to_owned());
                    found.extend(words(name));
                }
                None => found.extend(words(segment)),
            }
        }
    }
    // The toolkit's name stands before them anyway.
    if found.len() > toolkit.len() && found.starts_with(toolkit) {
        found.drain(..toolkit.len());
    }
    found.dedup();
    found
}

/// A name of a tool that is not taken: the toolkit's slug, the words, shortened to the limit.
pub(crate) fn tool_name(slug: &str, words: &[String], key: &str, taken: &BTreeSet<String>) -> String {
    let prefix = format!("{}_", slug.to_ascii_uppercase());
    let room = MAX_NAME - prefix.len();
    let name = shortened(words, room, key);
    let candidate = format!("{prefix}{name}");
    if !taken.contains(&candidate) {
        return candidate;
    }
    let method = key.split(' ').next().unwrap_or_default();
    let with_method = format!("{prefix}{name}_{method}");
    if with_method.len() <= MAX_NAME && !taken.contains(&with_method) {
        return with_method;
    }
    let hash = hash(key);
    let end = name.len().min(room - hash.len() - 1);
    format!("{prefix}{}_{hash}", name[..end].trim_end_matches('_'))
}

/// Words joined within a limit: without fillers, then without vowels, then cut off with a hash of the key.
fn shortened(words: &[String], room: usize, key: &str) -> String {
    let mut words: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    if words.is_empty() {
        return hash(key);
    }
    let length = |words: &[String]| words.iter().map(|word| word.len() + 1).sum::<usize>() - 1;
    if length(&words) > room {
        let kept: Vec<String> =
            words.iter().filter(|word| !FILLERS.contains(&word.to_ascii_lowercase().as_str())).cloned().collect();
        words = if kept.is_empty() { words } else { kept };
    }
    // The longest word first, the last one of several.
    while length(&words) > room {
        let longest =
            (0..words.len()).filter(|at| words[*at].len() > 4 && without_vowels(&words[*at]).len() < words[*at].len());
        let Some(at) = longest.max_by_key(|at| words[*at].len()) else { break };
        words[at] = without_vowels(&words[at]);
    }
    let name = words.join("_");
    if name.len() <= room {
        return name;
    }
    let hash = hash(key);
    format!("{}_{hash}", name[..room - hash.len() - 1].trim_end_matches('_'))
}

fn without_vowels(word: &str) -> String {
    let is_kept = |(at, letter): &(usize, char)| *at == 0 || !"AEIOU".contains(*letter);
    word.char_indices().filter(is_kept).map(|(_, letter)| letter).collect()
}

/// Six digits that stand for a key.
pub(crate) fn hash(key: &str) -> String {
    HEXUPPER.encode(&Sha256::digest(key)[..3])
}

/// A name for an argument that is not taken. Only letters, digits and `_` in a path.
pub(crate) fn argument_name(wire_name: &str, place: &str, taken: &BTreeSet<String>) -> String {
    // Placeholders of paths and templates have fewer letters.
    let others = match place {
        "path" => "",
        "body" => "_-",
        _ => "_.-",
    };
    let is_kept = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
    let replaced: String = wire_name.chars().map(|letter| if is_kept(letter) { letter } else { '_' }).collect();
    let mut name = replaced.trim_matches(|letter| "_.-".contains(letter)).to_owned();
    while name.contains("__") {
        name = name.replace("__", "_");
    }
    if name == wire_name.trim_matches('_') {
        // Nothing had to be replaced, so that underscores may stay.
        wire_name.clone_into(&mut name);
    }
    if name.is_empty() {
        name = format!("{place}_{}", hash(wire_name).to_ascii_lowercase());
    }
    if RESERVED.contains(&name.as_str()) {
        name = format!("{name}_value");
    }
    if name.len() > MAX_NAME {
        name = format!("{}_{}", &name[..MAX_NAME - 7], hash(wire_name).to_ascii_lowercase());
    }
    if taken.contains(&name) {
        let end = name.len().min(MAX_NAME - place.len() - 1);
        name = format!("{}_{place}", &name[..end]);
    }
    if taken.contains(&name) {
        let end = name.len().min(MAX_NAME - 7);
        name = format!("{}_{}", &name[..end], hash(&format!("{place} {wire_name}")).to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str) -> String {
        tool_name("acme", &tool_words(Some(id), "GET", "/x", &["acme".to_owned()]), "GET /x", &BTreeSet::new())
    }

    #[test]
    fn a_tool_is_named_by_the_words_of_its_id() {
        for (id, expected) in [
            ("issues/list-for-repo", "ACME_ISSUES_LIST_FOR_REPO"),
            ("acme_listIssues", "ACME_LIST_ISSUES"),
            ("getHTTPServer2Config", "ACME_GET_HTTP_SERVER2_CONFIG"),
            ("read_item__items__get", "ACME_READ_ITEM"),
            ("acme", "ACME_ACME"),
        ] {
            assert_eq!(named(id), expected, "{id}");
        }
        let words = tool_words(None, "GET", "/repositories/{workspace}/{repo-slug}", &[]);
        assert_eq!(tool_name("x", &words, "k", &BTreeSet::new()), "X_GET_REPOSITORIES_BY_WORKSPACE_BY_REPO_SLUG");
    }

    #[test]
    fn a_long_name_loses_fillers_then_vowels_then_its_end() {
        let long = "createTheConfigurationOfTheOrganizationForTheRepositoryOfTheUser";
        assert_eq!(named(long), "ACME_CREATE_CONFIGURATION_ORGANIZATION_REPOSITORY_USER");
        let longer = "createTheConfigurationOfTheOrganizationForTheRepositoryEnvironmentVariables";
        assert_eq!(named(longer), "ACME_CREATE_CNFGRTN_ORGNZTN_REPOSITORY_ENVIRONMENT_VARIABLES");
        let longest = "word ".repeat(40);
        let name = named(&format!("{longest}x y z {}", "w ".repeat(90)));
        assert!(name.len() <= MAX_NAME && name.starts_with("ACME_W"), "{name}");
    }

    #[test]
    fn no_two_tools_have_one_name() {
        let mut taken = BTreeSet::new();
        for key in ["GET /a", "POST /a", "POST /b", "POST /c"] {
            assert!(taken.insert(tool_name("acme", &["run".to_owned()], key, &taken)));
        }
        let expected = ["ACME_RUN", "ACME_RUN_POST"];
        assert!(expected.iter().all(|name| taken.contains(*name)), "{taken:?}");
    }

    #[test]
    fn an_argument_keeps_its_name_where_it_can() {
        let none = BTreeSet::new();
        for (wire_name, place, expected) in [
            ("per_page", "query", "per_page"),
            ("$top", "query", "top"),
            ("X-Request-Id", "header", "X-Request-Id"),
            ("filter[name]", "query", "filter_name"),
            ("order-id", "path", "order_id"),
            ("_id", "body", "_id"),
            ("item", "body", "item_value"),
        ] {
            assert_eq!(argument_name(wire_name, place, &none), expected);
        }
        let taken = BTreeSet::from(["id".to_owned()]);
        assert_eq!(argument_name("id", "body", &taken), "id_body");
        assert!(argument_name("名前", "query", &none).starts_with("query_"));
    }
}
