//! `application/x-www-form-urlencoded`: strict decoding, and replacement of query parameters.

use std::borrow::Cow;

use url::Url;

/// Decodes a name or value. `None` if a `%` is not followed by two hexadecimal digits or the bytes are not
/// UTF-8: a repaired value would differ from the one sent.
pub(crate) fn decode(text: &str) -> Option<String> {
    String::from_utf8(decode_bytes(text.as_bytes())?).ok()
}

/// As [`decode`], for text that is only displayed: invalid escapes are kept, and invalid UTF-8 becomes
/// U+FFFD.
pub(crate) fn decode_lossy(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        let pair = more
            .split_at_checked(2)
            .and_then(|(pair, after)| Some((hex_digit(pair[0])? << 4 | hex_digit(pair[1])?, after)));
        let (value, after) = match (byte, pair) {
            (b'%', Some(escaped)) => escaped,
            (b'+', _) => (b' ', more),
            (other, _) => (other, more),
        };
        decoded.push(value);
        rest = after;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// As [`decode`], for any character set.
pub(crate) fn decode_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            other => other,
        });
    }
    Some(decoded)
}

/// The value of one hexadecimal digit.
fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Encodes one value (RFC 6749 appendix B).
pub(crate) fn encode(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

/// Encodes parameters in order.
pub(crate) fn encode_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Splits `name=value`, still encoded.
pub(crate) fn split(piece: &str) -> (&str, &str) {
    piece.split_once('=').unwrap_or((piece, ""))
}

/// Sets parameters of a URL's query and removes older ones of the same names. All other parts are kept byte
/// for byte: some providers sign or compare the raw query.
pub(crate) fn set_query(url: &mut Url, pairs: &[(&str, &str)]) {
    if pairs.is_empty() {
        return;
    }
    let is_replaced = |piece: &&str| {
        let name = form_urlencoded::parse(piece.as_bytes()).next().map_or(Cow::Borrowed(""), |(name, _)| name);
        pairs.iter().any(|(replaced, _)| *replaced == name)
    };
    let old = url.query().unwrap_or_default().to_owned();
    let mut pieces: Vec<&str> = old.split('&').filter(|piece| !piece.is_empty() && !is_replaced(piece)).collect();
    let added = encode_pairs(pairs.iter().copied());
    pieces.push(&added);
    url.set_query(Some(&pieces.join("&")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decoding_is_strict() {
        let cases = [
            ("a+b%20c%2B", Some("a b c+")),
            ("%C3%BC", Some("ü")),
            ("%c3%bc", Some("ü")),
            ("", Some("")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%+1", None),
            ("%FF", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_parameters_of_the_same_name_are_replaced() {
        let cases = [
            ("https://a.example/", "https://a.example/?key=k%26+1"),
            ("https://a.example/?b=%20x&b=+y&&c", "https://a.example/?b=%20x&b=+y&c&key=k%26+1"),
            ("https://a.example/?key=old&keys=1&k%65y=old", "https://a.example/?keys=1&key=k%26+1"),
            ("https://a.example/?key#f", "https://a.example/?key=k%26+1#f"),
        ];
        for (before, after) in cases {
            let mut url = Url::parse(before).unwrap();
            set_query(&mut url, &[("key", "k& 1")]);
            assert_eq!(url.as_str(), after);
        }
    }

    proptest! {
        #[test]
        fn encoding_round_trips(text in any::<String>()) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }
    }
}
