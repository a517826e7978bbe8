//! Makes the responses of two runs comparable.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::server::TestServer;

/// Puts the same words wherever a run differs from the next: origins, ids, tokens, times.
pub struct Equaliser {
    origins: Vec<(String, &'static str)>,
    ids: BTreeMap<String, String>,
}

/// What ids and keys start with.
const PREFIXES: [&str; 20] = [
    "file_", "log_", "apr_", "session_", "trs_", "ca_", "ac_", "lt_", "req_", "pr_", "key_", "st_", "evt_", "ok_",
    "org_", "rvj_", "rvk_", "ak_", "oak_", "uak_",
];

impl Equaliser {
    pub fn new(server: &TestServer) -> Self {
        Self {
            origins: vec![
                (server.url.clone(), "https://switchboard.example.com"),
                (server.sandbox_url.clone(), "https://sandbox.example.com"),
            ],
            ids: BTreeMap::new(),
        }
    }

    pub fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| {
                    let value = match (key.as_str(), value) {
                        // A few words by chance; a header of the day.
                        ("word_id", Value::String(_)) => "sandbox_quiet-river".into(),
                        ("date", Value::String(_)) => "Thu, 15 Jan 2026 09:30:00 GMT".into(),
                        _ => self.value(value),
                    };
                    (key.clone(), value)
                });
                Value::Object(entries.collect())
            }
            // A time in milliseconds.
            Value::Number(number) if number.as_i64().is_some_and(|number| number > 1_500_000_000_000) => {
                1_768_469_400_000_i64.into()
            }
            // A time in seconds.
            Value::Number(number) if number.as_i64().is_some_and(|number| number > 1_500_000_000) => {
                1_768_469_400_i64.into()
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        if is_time(text) {
            return "2026-01-15T09:30:00.000Z".to_owned();
        }
        let mut text = text.to_owned();
        if let Some((address, _)) = text.split_once("?expires=") {
            text = format!("{address}?expires=1768473000&signature=0a1b2c3d.Example");
        }
        for word in text.clone().split(' ').map(|word| word.trim_end_matches('.')) {
            if is_time(word) {
                text = text.replace(word, "2026-01-15T09:30:00.000Z");
            }
        }
        for (origin, neutral) in &self.origins {
            text = text.replace(origin, neutral);
            let host = |url: &str| url.split_once("://").unwrap().1.to_owned();
            text = text.replace(&host(origin), &host(neutral));
        }
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let words: Vec<&str> = text.split(|letter: char| !is_word(letter)).collect();
        let mut shown = text.clone();
        for word in words {
            if let Some(prefix) = PREFIXES.iter().find(|prefix| word.starts_with(**prefix))
                && word.len() >= prefix.len() + if prefix.ends_with("ak_") { 6 } else { 20 }
            {
                let equal = self.id(prefix, word);
                shown = shown.replace(word, &equal);
            }
        }
        shown
    }

    /// The same id for the same thing: `trs_1example…`, `trs_2example…`, and as long as it was.
    fn id(&mut self, prefix: &str, id: &str) -> String {
        let count = self.ids.values().filter(|known| known.starts_with(prefix)).count() + 1;
        let made = || {
            let filler = "0000000000Example".chars().cycle();
            let rest: String = filler.take(id.len() - prefix.len() - 1).collect();
            format!("{prefix}{count}{rest}")
        };
        self.ids.entry(id.to_owned()).or_insert_with(made).clone()
    }
}

/// `2026-01-15T09:30:00.000Z`.
fn is_time(text: &str) -> bool {
    text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T' && text.as_bytes()[19] == b'.'
}
