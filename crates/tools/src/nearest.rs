//! The known name that a misspelt one is like.

/// How like two names must be, from 0 to 1.
const LIKENESS: f64 = 0.7;
/// Maximum length of a name that is compared, in bytes.
const MAX_LENGTH: usize = 128;

/// The name in `known` that is most like `name`, if one is like it. Case and separators do not count.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let all = similar(name, known);
    all.into_iter().max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known)
}

/// The same for up to `max` names, the most like first.
pub fn nearest_of<'k>(name: &str, known: impl IntoIterator<Item = &'k str>, max: usize) -> Vec<&'k str> {
    let mut all = similar(name, known);
    all.sort_by(|(one, first), (other, second)| other.total_cmp(one).then_with(|| first.cmp(second)));
    all.into_iter().take(max).map(|(_, known)| known).collect()
}

fn similar<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<(f64, &'k str)> {
    // A name of that length is like none, and comparing costs the product of both lengths.
    if name.len() > MAX_LENGTH {
        return Vec::new();
    }
    let plain = |text: &str| text.replace(['-', '_', '.', ' '], "").to_ascii_lowercase();
    let name = plain(name);
    let likeness = known.into_iter().map(|known| (strsim::jaro_winkler(&name, &plain(known)), known));
    likeness.filter(|(likeness, _)| *likeness >= LIKENESS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_known_one() {
        let known = ["owner", "repo", "title", "max_results"];
        assert_eq!(nearest("ownr", known), Some("owner"));
        assert_eq!(nearest("maxResults", known), Some("max_results"));
        assert_eq!(nearest("zzz", known), None);
    }
}
