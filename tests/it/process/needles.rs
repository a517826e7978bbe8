//! Searches for secrets in bytes, in every form in which they may be written.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Named secrets and all their forms.
#[derive(Default)]
pub struct Needles {
    forms: Vec<(String, Vec<u8>)>,
}

impl Needles {
    /// Adds a secret. Short ones would be found by chance.
    pub fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 12, "{name} is too short to look for: {secret:?}");
        let mut add = |form: &str, bytes: Vec<u8>| {
            if !self.forms.iter().any(|(_, known)| *known == bytes) {
                self.forms.push((format!("{name} ({form})"), bytes));
            }
        };
        add("as it is", secret.into());
        let hex: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let hex = hex.concat();
        add("hex", hex.to_ascii_uppercase().into());
        add("hex", hex.into());
        let json = serde_json::to_string(secret).unwrap();
        add("in JSON", json[1..json.len() - 1].into());
        // Logs may quote a text that was quoted already.
        add("in Debug", format!("{secret:?}")[1..].trim_end_matches('"').into());
        let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        add("form-encoded", form.replace('+', "%20").into());
        add("form-encoded", form.clone().into());
        add("form-encoded in lower case", lower_escapes(&form).into());
        // Inside a longer text base64 looks one of three ways; the ends depend on the neighbours.
        for shift in 0..3 {
            let shifted = [vec![0; shift], secret.into()].concat();
            let whole = shifted.len() / 3 * 4;
            let start = [0, 2, 3][shift];
            add("base64", STANDARD.encode(&shifted)[start..whole].into());
            add("base64url", URL_SAFE.encode(&shifted)[start..whole].into());
        }
    }

    /// Adds bytes that are no text.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.forms.push((format!("{name} (bytes)"), bytes.to_owned()));
    }

    /// Names of what is found.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        self.hits(bytes).map(|(index, _)| self.forms[index].0.as_str()).collect()
    }

    /// Fails when anything is found whose name starts with none of `allowed`, naming it and where
    /// it stands.
    #[track_caller]
    pub fn assert_none_in(&self, place: &str, bytes: &[u8], allowed: &[&str]) {
        let is_allowed = |index: usize| allowed.iter().any(|name| self.forms[index].0.starts_with(name));
        if let Some((index, at)) = self.hits(bytes).find(|(index, _)| !is_allowed(*index)) {
            let (name, form) = &self.forms[index];
            let around = &bytes[at.saturating_sub(300)..(at + form.len() + 60).min(bytes.len())];
            panic!("{name} is in {place}: …{}…", String::from_utf8_lossy(around));
        }
    }

    /// Which form is found where. One pass: logs at trace level are long.
    fn hits<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut by_start: Vec<Vec<usize>> = vec![Vec::new(); 1 << 16];
        for (index, (_, form)) in self.forms.iter().enumerate() {
            by_start[start(form)].push(index);
        }
        bytes.windows(2).enumerate().flat_map(move |(at, pair)| {
            let candidates = by_start[start(pair)].clone().into_iter();
            candidates.filter(move |index| bytes[at..].starts_with(&self.forms[*index].1)).map(move |index| (index, at))
        })
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn lower_escapes(text: &str) -> String {
    let mut out = String::new();
    let mut escape = 0_u8;
    for c in text.chars() {
        escape = if c == '%' { 3 } else { escape };
        out.push(if escape > 0 { c.to_ascii_lowercase() } else { c });
        escape = escape.saturating_sub(1);
    }
    out
}

/// Whether bytes hold others.
pub fn contains(bytes: &[u8], form: &[u8]) -> bool {
    bytes.windows(form.len()).any(|window| window == form)
}

/// All files under a folder: their paths from there and their bytes.
pub fn files_under(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_form_of_a_secret_is_found() {
    let secret = "c4n/ry+se:cret~value%1";
    let mut needles = Needles::default();
    needles.add("it", secret);
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{secret}:tail");
        assert!(!needles.found_in(STANDARD.encode(&text).as_bytes()).is_empty(), "{before}");
        assert!(!needles.found_in(URL_SAFE.encode(&text).as_bytes()).is_empty(), "{before}");
    }
    for text in [
        "x c4n/ry+se:cret~value%1 x",
        "63346e2f72792b73653a637265747e76616c75652531",
        "c4n%2Fry%2Bse%3Acret%7Evalue%251",
        "c4n%2fry%2bse%3acret%7evalue%251",
    ] {
        assert!(!needles.found_in(text.as_bytes()).is_empty(), "{text}");
    }
    assert!(needles.found_in(b"c4n/ry+se:cret~valu").is_empty());
}
