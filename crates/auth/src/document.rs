//! The body of a token endpoint's answer as one JSON object: from JSON, or from a form where the
//! provider says so. What two readers could understand differently is refused.

use serde_json::{Map, Value};

use crate::form;
use crate::unambiguous::Unambiguous;

/// Largest answer that is read, in bytes.
const MAX: usize = 1 << 20;

/// Reads a body. The error says what is wrong, without any of it.
pub(crate) fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    let body = content(body)?;
    if content_type.is_some_and(is_form) { parse_form(body) } else { parse_json(body) }
}

/// As [`parse`], where content types say nothing: what begins as a JSON object is one, everything
/// else is a form.
pub(crate) fn parse_by_looks(body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    let body = content(body)?;
    if body.trim_ascii_start().starts_with(b"{") { parse_json(body) } else { parse_form(body) }
}

/// A body of an acceptable size, without its byte order mark.
fn content(body: &[u8]) -> Result<&[u8], &'static str> {
    if body.len() > MAX {
        return Err("the answer is larger than 1 MiB");
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err("the answer is empty");
    }
    Ok(body)
}

fn parse_json(body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    match serde_json::from_slice::<Unambiguous>(body) {
        Ok(Unambiguous(Value::Object(object))) => Ok(object),
        Ok(_) => Err("the answer is not a JSON object"),
        Err(error) if error.is_data() => Err("the answer repeats a JSON key"),
        Err(_) => Err("the answer is not JSON"),
    }
}

pub(crate) fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn parse_form(body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8")?;
    let mut object = Map::new();
    for piece in text.trim().split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = form::split(piece);
        let (Some(name), Some(value)) = (form::decode(name), form::decode(value)) else {
            return Err("the answer is not a well-formed form");
        };
        if object.insert(name, Value::String(value)).is_some() {
            return Err("the answer repeats a parameter");
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const FORM: Option<&str> = Some("Application/X-WWW-Form-urlencoded ; charset=utf-8");

    #[test]
    fn objects_are_read_from_json_and_from_forms() {
        let nested = json!({"a": {"b": [1, -2, 0.5, null, true, "x"]}, "c": ""});
        let text = nested.to_string();
        for content_type in [None, Some("application/json"), Some("text/html"), Some("nonsense")] {
            assert_eq!(parse(content_type, text.as_bytes()).map(Value::Object), Ok(nested.clone()));
        }
        assert_eq!(parse(None, b"\xef\xbb\xbf {\"a\":1}\n").map(Value::Object), Ok(json!({"a": 1})));
        let form = parse(FORM, b"access_token=a%2Bb&scope=&&type=x+y\n").map(Value::Object);
        assert_eq!(form, Ok(json!({"access_token": "a+b", "scope": "", "type": "x y"})));
    }

    #[test]
    fn everything_else_is_refused() {
        let large = [b"{\"a\":\"", vec![b'x'; MAX].as_slice(), b"\"}"].concat();
        let deep = [b"{\"a\":", vec![b'['; 20_000].as_slice()].concat();
        let cases: [(Option<&str>, &[u8], &str); 16] = [
            (None, b"", "the answer is empty"),
            (None, b" \r\n", "the answer is empty"),
            (None, b"\xef\xbb\xbf", "the answer is empty"),
            (None, &large, "the answer is larger than 1 MiB"),
            (None, b"<html>", "the answer is not JSON"),
            (None, b"{\"a\":1", "the answer is not JSON"),
            (None, b"{\"a\":1} x", "the answer is not JSON"),
            (None, b"{\"a\":\"\xff\"}", "the answer is not JSON"),
            (None, &deep, "the answer is not JSON"),
            (None, b"access_token=x", "the answer is not JSON"),
            (None, b"[{}]", "the answer is not a JSON object"),
            (None, b"null", "the answer is not a JSON object"),
            (None, b"{\"a\":1,\"a\":1}", "the answer repeats a JSON key"),
            (None, b"{\"x\":[{\"a\":1,\"\\u0061\":2}]}", "the answer repeats a JSON key"),
            (FORM, b"a=1&b=2&a=1", "the answer repeats a parameter"),
            (FORM, b"a=%zz", "the answer is not a well-formed form"),
        ];
        for (content_type, body, expected) in cases {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            assert_eq!(parse(content_type, body), Err(expected), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(form in any::<bool>(), body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(form.then_some("application/x-www-form-urlencoded"), &body);
        }

        #[test]
        fn json_reads_as_it_was_written(pairs in proptest::collection::btree_map(".{0,9}", any::<(i64, String)>(), 0..9)) {
            let object = json!(pairs);
            prop_assert_eq!(parse(None, object.to_string().as_bytes()).map(Value::Object), Ok(object));
        }
    }
}
