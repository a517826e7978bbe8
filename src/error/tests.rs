//! Consistency of the table of codes.

use super::*;

#[test]
fn every_code_has_advice_and_a_slug_of_its_own() {
    let mut slugs: Vec<&str> = Code::ALL.iter().map(|code| code.slug()).collect();
    slugs.sort_unstable();
    let all = slugs.len();
    slugs.dedup();
    assert_eq!(slugs.len(), all);
    for code in Code::ALL {
        assert!(code.fix().ends_with('.'), "{code:?} needs a sentence of advice");
    }
}
