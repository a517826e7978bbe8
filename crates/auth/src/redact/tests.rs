//! Redaction of echoed credentials.

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
    Redactor::new(&secrets, |name| name != "username")
}

fn redact(secret: &str, text: &str) -> String {
    let found = redactor(&[("token", secret)]).redact(text.as_bytes()).into_owned();
    String::from_utf8(found).unwrap()
}

#[test]
fn a_secret_is_found_in_every_spelling() {
    let cases = [
        ("tok-1234", "Bearer tok-1234", "Bearer REDACTED"),
        ("tok-1234", "tok-1234tok-1234, tok-123", "REDACTEDREDACTED, tok-123"),
        ("a\"b\\c/def", r#"{"x":"a\"b\\c/def"}"#, r#"{"x":"REDACTED"}"#),
        ("a\"b\\c/def", r#"{"x":"a\"b\\c\/def"}"#, r#"{"x":"REDACTED"}"#),
        ("a<b>c&dü", r#""a\u003cb\u003ec\u0026d\u00fc""#, r#""REDACTED""#),
        ("a<b>c&dü", r#""a<b>c&d\u00FC""#, r#""REDACTED""#),
        ("a<b>c&d😀", r#""a<b>c&d\ud83d\ude00""#, r#""REDACTED""#),
        ("tok-1234", r"\u0074\u006f\u006b\u002d\u0031\u0032\u0033\u0034", "REDACTED"),
        ("tok-1234", r"\x74ok\x2d1234", "REDACTED"),
        ("a<b>c&'\"", "<p>a&lt;b&gt;c&amp;&#39;&quot;</p>", "<p>REDACTED</p>"),
        ("a<b>c&'\"", "<p>a&lt;b>c&amp;&#x27;&#34;</p>", "<p>REDACTED</p>"),
        ("a<b>c&'\"", "<p>a&lt;b&gt;c&amp;&apos;&#x22;</p>", "<p>REDACTED</p>"),
        ("tok-1234", "&#116;&#x6F;k-1234", "REDACTED"),
        ("a b+c/~de", "?k=a+b%2Bc%2F%7Ede&x", "?k=REDACTED&x"),
        ("a b+c/~de", "?k=a%20b%2Bc%2F~de&x", "?k=REDACTED&x"),
        ("a b+c/~de", "?k=a%20b%2bc%2f~de&x", "?k=REDACTED&x"),
        ("tok-1234", "?k=%74%6F%6b-1234&x", "?k=REDACTED&x"),
        ("a%41b\"&amp;\\nz", r#""a%41b\"&amp;\\nz""#, r#""REDACTED""#),
        ("a%41b\"&amp;\\nz", "a%41b&quot;&amp;amp;\\nz!", "REDACTED!"),
        ("a%41b\"&amp;\\nz", "a%2541b%22%26amp%3B%5Cnz!", "REDACTED!"),
        ("tok-1234", "746f6b2d31323334 746F6B2D31323334.", "REDACTED REDACTED."),
        (
            "line one\nline two",
            "line one\r\nline two|line one\\nline two|line one\n\tline two",
            "REDACTED|REDACTED|REDACTED",
        ),
        ("tok-1234", "tok-\n 1234", "REDACTED"),
    ];
    for (secret, text, expected) in cases {
        assert_eq!(redact(secret, text), expected, "{text}");
        // Large texts are searched in a different way.
        let padding = "-\n".repeat(LARGE_TEXT);
        assert_eq!(
            redact(secret, &format!("{padding}{text}{padding}")),
            format!("{padding}{expected}{padding}"),
            "{text}"
        );
    }
}

#[test]
fn base64_is_found_broken_into_lines_and_made_twice() {
    let secret = "keycanaryABCDEF0123456789".repeat(5);
    for before in ["", "x", "xy", "Authorization: Bearer "] {
        let once = STANDARD.encode(format!("{before}{secret}"));
        for (width, ending) in [(76, "\n"), (76, "\r\n"), (64, "\r\n "), (60, "\\n"), (4, "\n")] {
            let lines: Vec<&str> =
                once.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let redacted = redact(&secret, &lines.join(ending));
            assert!(redacted.len() < before.len() * 2 + 24, "{redacted}");
        }
        for more in ["", "a", "ab"] {
            let twice = STANDARD.encode(format!("{more}{once}"));
            for text in [twice.clone(), crate::form::encode(&twice), twice.replace('/', "\\/")] {
                let redacted = redact(&secret, &text);
                // Only a few characters around it remain.
                assert!(redacted.contains("REDACTED") && redacted.len() < before.len() * 2 + 32, "{redacted}");
            }
        }
    }
}

#[test]
fn keys_of_json_and_what_is_no_secret_stay() {
    let all =
        redactor(&[("username", "ada@example.com"), ("password", "api_token"), ("pin", "1234567"), ("id", "12345678")]);
    for (text, expected) in [
        (r#"{"api_token":1,"x_api_token_id":"api_token"}"#, r#"{"api_token":1,"x_api_token_id":"REDACTED"}"#),
        (
            r#"{"email" : "ada@example.com", "a":["ada@example.com"]}"#,
            r#"{"email" : "ada@example.com", "a":["ada@example.com"]}"#,
        ),
        (r#"{"api_token" :"an api_token, api\u005ftoken"}"#, r#"{"api_token" :"an REDACTED, REDACTED"}"#),
        // A short secret is redacted only as a whole value.
        (
            r#"{"a":"1234567","b":"12345678 1234567","c":1234567,"1234567":[1234567.0]}"#,
            r#"{"a":"REDACTED","b":"REDACTED 1234567","c":"REDACTED","1234567":[1234567.0]}"#,
        ),
        (r#"["\u0031234567", "x1234567"]"#, r#"["REDACTED", "x1234567"]"#),
        // A number remains a value.
        (r#"{"n":12345678,"m":-123456789e5}"#, r#"{"n":"REDACTED","m":"REDACTED"}"#),
        ("12345678", r#""REDACTED""#),
        (r#""\"api_token\"""#, r#""\"REDACTED\"""#),
        ("{}", "{}"),
    ] {
        assert_eq!(all.redact_json(text), expected);
        assert!(serde_json::from_str::<serde_json::Value>(&all.redact_json(text)).is_ok(), "{text}");
    }
}

#[test]
fn an_escape_that_a_secret_begins_or_ends_in_is_replaced_whole() {
    for (secret, text, expected) in [
        ("n1234567", r#""\n1234567""#, r#""REDACTED""#),
        ("00e9abcd", r#""x\u00e9abcd""#, r#""xREDACTED""#),
        ("abcdefg\\", r#""abcdefg\\u0041""#, r#""REDACTEDu0041""#),
        ("abcdefg\\", r#""abcdefg\"h""#, r#""REDACTEDh""#),
        ("\\12345678", r#""\\12345678""#, r#""REDACTED""#),
    ] {
        assert_eq!(redactor(&[("s", secret)]).redact_json(text), expected, "{text}");
    }
}

#[test]
fn short_secrets_are_replaced_only_as_whole_values() {
    let redactor = redactor(&[("pin", "1234567")]);
    for (text, expected) in [
        ("1234567", "REDACTED"),
        (" 1234567\n", "REDACTED"),
        ("1234567 ", "REDACTED"),
        ("a1234567", "a1234567"),
        ("pin=1234567", "pin=1234567"),
    ] {
        assert_eq!(redactor.redact(text.as_bytes()), text_bytes(expected), "{text}");
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
        let redactor = redactor(&[("username", username), ("password", password)]).with_basic(username, password);
        let encoded = STANDARD.encode(format!("{username}:{password}"));
        for text in [encoded.clone(), encoded.replace('/', "\\/"), crate::form::encode(&encoded)] {
            let found = redactor.redact(text.as_bytes()).into_owned();
            assert_eq!(String::from_utf8(found).unwrap(), "REDACTED", "{username}:{password}");
        }
        assert_eq!(redactor.redact(username.as_bytes()), text_bytes(username), "a user name is no secret");
    }
}

#[test]
fn base64_borders_do_not_leak_bits() {
    // At each offset in a group of three and with following bytes: only characters of the other bytes and
    // padding remain.
    for (before, after, expected) in
        [("", "", "REDACTED="), ("x", "", "eREDACTED"), ("xy", "", "eHREDACTED=="), ("xyz", "123", "eHl6REDACTEDxMjM=")]
    {
        let encoded = STANDARD.encode(format!("{before}secret78{after}"));
        assert_eq!(redact("secret78", &encoded), expected, "{encoded}");
        let padding = "-\n".repeat(LARGE_TEXT);
        assert_eq!(redact("secret78", &format!("{padding}{encoded}")), format!("{padding}{expected}"), "{encoded}");
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
    let redactor = redactor(&[("a", "abcdefgh"), ("b", "efghijkl"), ("c", "fghijkmn"), ("d", "aaaaaaaa")]);
    for (text, expected) in
        [("-abcdefghijkl-", "-REDACTED-"), ("fghijkmn efghijkl", "REDACTED REDACTED"), ("aaaaaaaaaaaaa.", "REDACTED.")]
    {
        assert_eq!(redactor.redact(text.as_bytes()), text_bytes(expected), "{text}");
    }
}

fn text_bytes(text: &str) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

#[test]
fn bytes_without_secrets_are_not_copied() {
    let short = redactor(&[("pin", "12345"), ("username", "ab"), ("password", "cd")]);
    let long = redactor(&[("token", "tok-1234")]);
    for redactor in [short, long, Redactor::new(&Secrets::new(), |_| true)] {
        let bytes = b"12345 ab cd YWI6Y2Q= \xff\x00 tok-123 \n%zz&;";
        assert!(matches!(redactor.redact(bytes), Cow::Borrowed(same) if same == bytes));
        assert_eq!(format!("{redactor:?}"), "Redactor(redacted)");
    }
}

#[test]
fn a_body_full_of_matches_takes_linear_time() {
    let secret = "a".repeat(4096);
    let body = vec![b'a'; 4 << 20];
    // A single span; quadratic time would take 16 G steps, which is minutes even when optimised.
    assert_eq!(redactor(&[("a", &secret)]).redact(&body), text_bytes("REDACTED"));
    let escaped = "\\u0061".repeat(1 << 19);
    assert_eq!(redactor(&[("a", &secret)]).redact(escaped.as_bytes()), text_bytes("REDACTED"));
    let json = format!("\"{}\"", "aaaaaaaa.".repeat(1 << 18));
    let redacted = redactor(&[("a", "aaaaaaaa")]).redact_json(&json).into_owned();
    assert!(redacted == format!("\"{}\"", "REDACTED.".repeat(1 << 18)));
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

proptest! {
    #[test]
    fn no_secret_is_left(
        secrets in proptest::collection::vec("[ -~ü]{8,24}", 1..4),
        noise in proptest::collection::vec(any::<u8>(), 0..40),
        order in proptest::collection::vec((0..4_usize, 0..11_usize), 1..8),
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
                5 => STANDARD.encode(STANDARD.encode(secret)),
                6 => joined(secret.bytes().map(|byte| format!("{byte:02x}"))),
                7 => joined(secret.bytes().map(|byte| format!("%{byte:02X}"))),
                8 => joined(secret.chars().map(|letter| format!("&#x{:X};", u32::from(letter)))),
                9 => joined(secret.chars().map(|letter| format!("\\u{:04x}", u32::from(letter)))),
                _ => URL_SAFE_NO_PAD.encode(format!("{secret}.x")),
            };
            body.extend_from_slice(text.as_bytes());
            body.extend_from_slice(&noise);
        }
        let redacted = redactor(&named).redact(&body).into_owned();
        for secret in &secrets {
            prop_assert!(!contains(&redacted, secret.as_bytes()), "{}", String::from_utf8_lossy(&redacted));
            prop_assert!(!contains(&redacted, STANDARD.encode(secret).trim_end_matches('=').as_bytes()));
            prop_assert!(!contains(&redacted, crate::form::encode(secret).as_bytes()));
            let unescaped = unescape::unescaped(&redacted, Escapes::ALL);
            prop_assert!(!contains(&unescaped, &unescape::unescaped(secret.as_bytes(), Escapes::NONE)));
        }
    }

    #[test]
    fn public_values_are_kept(text in "[a-m =/%]{0,80}", secret in "[n-z]{6,12}") {
        let redactor = redactor(&[("s", &secret)]);
        prop_assert_eq!(redactor.redact(text.as_bytes()), text_bytes(&text));
    }

    /// A JSON text stays valid and keeps its keys whatever is redacted, and both search methods find the
    /// same.
    #[test]
    fn json_stays_json(
        secret in "[ -~ü\\\\\"]{8,12}|[0-9]{5,9}", key in "[ -~]{0,9}", noise in "[ -~\n\t\u{1}]{0,20}", number in 0..u64::MAX,
    ) {
        let value = serde_json::json!({
            key.as_str(): format!("{noise}{secret}{noise}"), secret.as_str(): [secret, number], "n": format!("{number}{noise}"),
        });
        let redactor = redactor(&[("s", &secret)]);
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let redacted = redactor.redact_json(&text).into_owned();
            let read: serde_json::Value = serde_json::from_str(&redacted).unwrap();
            let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            prop_assert_eq!(keys(&read), keys(&value));
            if secret.chars().count() >= MIN_LENGTH {
                prop_assert!(!read.as_object().unwrap().values().any(|value| value.as_str().is_some_and(|text| text.contains(&secret))), "{}", redacted);
            }
            prop_assert_eq!(&read[&secret][0], "REDACTED");
            let large = format!("[{}{redacted}]", " ".repeat(LARGE_TEXT));
            let large_before = format!("[{}{text}]", " ".repeat(LARGE_TEXT));
            prop_assert_eq!(redactor.redact_json(&large_before), large);
        }
    }
}

fn joined(pieces: impl Iterator<Item = String>) -> String {
    pieces.collect::<Vec<_>>().concat()
}

#[test]
fn matches_are_joined_as_they_are_found() {
    // One match at each byte, and one that spans many earlier matches.
    let redactor = redactor(&[("a", "aaaaaaaa"), ("b", "bbbbbbbb"), ("c", "xaaaaaaaaaaaaay")]);
    for text in ["a".repeat(1 << 20), "\\u0061".repeat(1 << 18)] {
        let spans = scan::find(&redactor.forms, redactor.readings, text.as_bytes()).unwrap();
        let all = 0..text.len();
        assert_eq!(spans, std::slice::from_ref(&all));
        // Overlapping matches take no capacity.
        assert!(spans.capacity() < 16, "{}", spans.capacity());
    }
    for text in [
        "aaaaaaaaabbbbbbbbb",
        "xaaaaaaaaaaaaayaaaaaaaa",
        "-aaaaaaaa-bbbbbbbb-",
        "xaaaaaaaaaaaaay",
        "%61aaaaaaaaaa&#97;",
    ] {
        let expected = redactor.find(text.as_bytes()).unwrap();
        assert_eq!(scan::find(&redactor.forms, redactor.readings, text.as_bytes()).unwrap(), expected, "{text}");
    }
}
