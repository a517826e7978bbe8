//! Which scopes are enough for several tools.

use std::collections::BTreeSet;

/// What a tool needs: one of these lists of scopes, the preferred one first.
pub type Need<'a> = Vec<&'a [String]>;

/// Whether a need is met by some scopes. One without alternatives is.
pub fn is_met(need: &Need<'_>, scopes: &BTreeSet<&str>) -> bool {
    need.is_empty() || need.iter().any(|alternative| alternative.iter().all(|scope| scopes.contains(scope.as_str())))
}

/// Adds what all needs take: for each the first alternative, without what the others make unnecessary. So no scope of
/// the result that was added can be left out.
pub fn add_least<'a>(asked: &mut BTreeSet<&'a str>, mut needs: Vec<Need<'a>>) {
    // Tools that need the same count once.
    needs.sort_unstable();
    needs.dedup();
    needs.retain(|need| !is_met(need, asked));
    let first = needs.iter().filter_map(|need| need.first()).flat_map(|scopes| scopes.iter());
    let added: BTreeSet<&str> = first.map(String::as_str).filter(|scope| !asked.contains(scope)).collect();
    asked.extend(&added);
    for scope in added {
        asked.remove(scope);
        if !needs.iter().all(|need| is_met(need, asked)) {
            asked.insert(scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn least(asked: &[&str], needs: &[&[&[&str]]]) -> Vec<String> {
        let owned: Vec<Vec<Vec<String>>> = needs
            .iter()
            .map(|need| need.iter().map(|list| list.iter().map(|scope| (*scope).to_owned()).collect()).collect())
            .collect();
        let mut asked: BTreeSet<&str> = asked.iter().copied().collect();
        add_least(&mut asked, owned.iter().map(|need| need.iter().map(Vec::as_slice).collect()).collect());
        asked.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn the_result_is_enough_and_nothing_of_it_can_be_left_out() {
        let read: &[&[&str]] = &[&["read"], &["all"]];
        let all: &[&[&str]] = &[&["all"]];
        let both: &[&[&str]] = &[&["a", "b"], &["c"]];
        assert_eq!(least(&[], &[read]), ["read"]);
        assert_eq!(least(&[], &[read, all]), ["all"], "`read` is a part of it");
        assert_eq!(least(&["all"], &[read]), ["all"]);
        assert_eq!(least(&[], &[both]), ["a", "b"]);
        assert_eq!(least(&["c"], &[both]), ["c"]);
        assert_eq!(least(&[], &[both, &[&["c"]]]), ["c"]);
        assert_eq!(least(&["x"], &[]), ["x"], "what is asked for anyway stays");
        assert_eq!(least(&[], &[&[]]), Vec::<String>::new(), "a need without alternatives is met");
    }
}
