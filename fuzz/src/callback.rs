//! The query of a callback has exactly one interpretation, or is rejected.

use switchboard_auth::{CallbackQuery, parse_callback};
use switchboard_vault::Secret;

use crate::shown;

/// `text` as the query of a callback.
pub fn query(text: &str) {
    let read = parse_callback(text);
    assert_eq!(read, parse_callback(text), "two readings of one query");
    // Every known parameter is then repeated, so that only a query without any may be accepted.
    let twice = parse_callback(&format!("{text}&{text}"));
    assert!(twice.is_err() || twice == Ok(CallbackQuery::default()), "a repetition is read: {twice:?}");
    let Ok(query) = read else {
        return;
    };
    shown::check(query.error.as_deref(), query.error_description.as_deref());
    let code = query.code.as_ref().map(Secret::expose);
    let values = [("code", code), ("state", query.state.as_deref()), ("iss", query.iss.as_deref())];
    for (name, value) in values {
        assert_eq!(value, first(text, name).as_deref(), "`{name}`");
    }
    if code.is_some() {
        assert!(parse_callback(&format!("{text}&code=other")).is_err(), "a second code is read");
        assert!(parse_callback(&format!("c%6fde&{text}")).is_err(), "a second code is read");
    }
    let pieces: Vec<&str> = text.split('&').rev().collect();
    assert_eq!(parse_callback(&pieces.join("&")), Ok(query), "the order of parameters matters");
}

/// Reference: the first non-empty value of a parameter, found independently of this service.
fn first(text: &str, name: &str) -> Option<String> {
    let found = form_urlencoded::parse(text.as_bytes()).find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
}
