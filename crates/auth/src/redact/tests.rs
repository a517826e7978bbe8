//! What comes back when a provider echoes a credential.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use switchboard_vault::Secret;

use super::*;

fn redactor(values: &[(&str, &str)]) -> Redactor {
    let mut secrets = Secrets::new();
    for (name, value) in values {
        secrets.insert(name, Secret::from(*value));
    }
    Redactor::new(&secrets)
}

fn redact(secret: &str, text: &str) -> String {
    let found = redactor(&[("token", secret)]).redact(text.as_bytes()).into_owned();
    String::from_utf8(found).unwrap()
}

#[test]
fn all_forms_are_replaced() {
    let cases = [
        ("tok-123", "Bearer tok-123", "Bearer REDACTED"),
        ("tok-123", "tok-123tok-123, tok-12", "REDACTEDREDACTED, tok-12"),
        ("a\"b\\c/d", r#"{"x":"a\"b\\c/d"}"#, r#"{"x":"REDACTED"}"#),
        ("a\"b\\c/d", r#"{"x":"a\"b\\c\/d"}"#, r#"{"x":"REDACTED"}"#),
        ("a<b>c&dü", r#""a\u003cb\u003ec\u0026d\u00fc""#, r#""REDACTED""#),
        ("a<b>c&dü", r#""a<b>c&d\u00fc""#, r#""REDACTED""#),
        ("a<b>c&dü", r#""a\u003cb\u003ec\u0026dü""#, r#""REDACTED""#),
        ("a<b>c&'\"", "<p>a&lt;b&gt;c&amp;&#39;&quot;</p>", "<p>REDACTED</p>"),
        ("a b+c/~d", "?k=a+b%2Bc%2F%7Ed&x", "?k=REDACTED&x"),
        ("a b+c/~d", "?k=a%20b%2Bc%2F~d&x", "?k=REDACTED&x"),
        ("a b+c/~d", "?k=a%20b%2bc%2f~d&x", "?k=REDACTED&x"),
    ];
    for (secret, text, expected) in cases {
        assert_eq!(redact(secret, text), expected, "{text}");
    }
}

#[test]
fn basic_credentials_are_replaced_whole() {
    let cases = [
        ("aladdin", "open sesame"),
        ("a", "open sesame"),
        ("ab", "??>>~~\u{fc}\u{ff}"),
        ("me@example.com", "p"),
        ("key-000000", ""),
    ];
    for (username, password) in cases {
        let redactor = redactor(&[("username", username), ("password", password)]);
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        for text in [encoded.clone(), encoded.replace('/', "\\/"), crate::form::encode(&encoded)] {
            let found = redactor.redact(text.as_bytes()).into_owned();
            assert_eq!(String::from_utf8(found).unwrap(), "REDACTED", "{username}:{password}");
        }
    }
}

#[test]
fn base64_borders_do_not_leak_bits() {
    // Alone, after one byte and after two, with bytes after it: only the other bytes' characters
    // and padding remain.
    for (before, after, expected) in
        [("", "", "REDACTED=="), ("x", "", "eREDACTED="), ("xy", "", "eHREDACTED"), ("xyz", "12", "eHl6REDACTEDEy")]
    {
        let encoded = STANDARD.encode(format!("{before}secret7{after}"));
        assert_eq!(redact("secret7", &encoded), expected);
    }
}

#[test]
fn every_spelling_of_base64_is_replaced() {
    let secret = "??>>~~ü?>";
    let standard = STANDARD.encode(secret);
    assert_eq!(standard, "Pz8+Pn5+w7w/Pg==");
    for encoded in ["Pz8-Pn5-w7w_P", "Pz8+Pn5+w7w\\/P", "Pz8%2BPn5%2Bw7w%2FP", "Pz8%2bPn5%2bw7w%2fP"] {
        assert_eq!(redact(secret, &format!("({encoded})")), "(REDACTED)", "{encoded}");
    }
}

#[test]
fn overlapping_secrets_are_replaced_as_one() {
    let redactor = redactor(&[("a", "abcdefgh"), ("b", "efghijkl"), ("c", "fghijk"), ("d", "aaaaaa")]);
    for (text, expected) in
        [("-abcdefghijkl-", "-REDACTED-"), ("fghijk efghijkl", "REDACTED REDACTED"), ("aaaaaaaaaaaaa.", "REDACTED.")]
    {
        assert_eq!(redactor.redact(text.as_bytes()), text_bytes(expected), "{text}");
    }
}

fn text_bytes(text: &str) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

#[test]
fn innocent_bytes_are_passed_on_uncopied() {
    let short = redactor(&[("pin", "12345"), ("username", "ab"), ("password", "cd")]);
    let long = redactor(&[("token", "tok-123")]);
    for redactor in [short, long, Redactor::new(&Secrets::new())] {
        let bytes = b"12345 ab cd YWI6Y2Q= \xff\x00 tok-12";
        assert!(matches!(redactor.redact(bytes), Cow::Borrowed(same) if same == bytes));
        assert_eq!(format!("{redactor:?}"), "Redactor(redacted)");
    }
}

#[test]
fn a_body_full_of_matches_takes_linear_time() {
    let secret = "a".repeat(4096);
    let body = vec![b'a'; 4 << 20];
    // One span; quadratic time would be 16 G steps, minutes even when optimised.
    assert_eq!(redactor(&[("a", &secret)]).redact(&body), text_bytes("REDACTED"));
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

proptest! {
    #[test]
    fn no_secret_is_left(
        secrets in proptest::collection::vec("[ -~ü]{6,24}", 1..4),
        noise in proptest::collection::vec(any::<u8>(), 0..40),
        order in proptest::collection::vec((0..4_usize, 0..6_usize), 1..8),
    ) {
        let values: Vec<(String, &str)> =
            secrets.iter().enumerate().map(|(index, secret)| (index.to_string(), secret.as_str())).collect();
        let named: Vec<(&str, &str)> = values.iter().map(|(name, secret)| (name.as_str(), *secret)).collect();
        let mut body = noise.clone();
        for (secret, form) in order {
            let secret = &secrets[secret % secrets.len()];
            let text = match form {
                0 => secret.clone(),
                1 => serde_json::Value::String(secret.clone()).to_string(),
                2 => crate::form::encode(secret),
                3 => STANDARD.encode(secret),
                4 => STANDARD.encode(format!("user:{secret}")),
                _ => URL_SAFE_NO_PAD.encode(format!("{secret}.x")),
            };
            body.extend_from_slice(text.as_bytes());
            body.extend_from_slice(&noise);
        }
        let redacted = redactor(&named).redact(&body).into_owned();
        for secret in &secrets {
            prop_assert!(!contains(&redacted, secret.as_bytes()));
            prop_assert!(!contains(&redacted, STANDARD.encode(secret).trim_end_matches('=').as_bytes()));
            prop_assert!(!contains(&redacted, crate::form::encode(secret).as_bytes()));
        }
    }

    #[test]
    fn what_is_no_secret_stays(text in "[a-m =/%]{0,80}", secret in "[n-z]{6,12}") {
        let redactor = redactor(&[("s", &secret)]);
        prop_assert_eq!(redactor.redact(text.as_bytes()), text_bytes(&text));
    }
}

#[test]
fn matches_are_joined_as_they_are_found() {
    // One match at each byte, and one that reaches back over many that were found before it.
    let redactor = redactor(&[("a", "aaaaaa"), ("b", "bbbbbb"), ("c", "xaaaaaaaaaaaaay")]);
    let large = "a".repeat(1 << 20);
    let spans = redactor.search_large(large.as_bytes()).unwrap();
    assert_eq!(spans, [(0, large.len())]);
    // Room for what overlaps is not kept, either.
    assert!(spans.capacity() < 16, "{}", spans.capacity());
    for text in ["aaaaaaaaabbbbbbb", "xaaaaaaaaaaaaayaaaaaa", "-aaaaaa-bbbbbb-", "xaaaaaaaaaaaaay"] {
        let expected = redactor.search(text.as_bytes());
        assert_eq!(redactor.search_large(text.as_bytes()).unwrap(), expected, "{text}");
    }
}
