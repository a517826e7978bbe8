//! Secret values: wiped on drop, silent in `Debug`, not serialisable.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

/// One secret string.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership, so that no second copy remains.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The plaintext. Review every call of this.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is empty, as for a missing value in a provider's response.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Named secrets that belong together, such as a client's id and secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// No values yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value. An older one is replaced and wiped.
    pub fn insert(&mut self, name: &str, value: Secret) {
        self.0.insert(name.to_owned(), value);
    }

    /// The plaintext of one value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose)
    }

    /// Removes one value.
    pub fn remove(&mut self, name: &str) -> Option<Secret> {
        self.0.remove(name)
    }

    /// Keeps the values of some names and wipes the others.
    pub fn retain(&mut self, mut keeps: impl FnMut(&str) -> bool) {
        self.0.retain(|name, _| keeps(name));
    }

    /// Names only; they are not secret.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All pairs, for masking and redaction.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All values as the text of one JSON object.
    pub fn into_json(self) -> Secret {
        let mut buffer = self.to_plaintext();
        // JSON is UTF-8; the buffer is reused as the text.
        Secret::new(String::from_utf8(std::mem::take(&mut *buffer)).unwrap_or_default())
    }

    /// The plaintext for sealing: a JSON object. Wiped on drop.
    pub(crate) fn to_plaintext(&self) -> Zeroizing<Vec<u8>> {
        // serde_json cannot fail on a map of strings; an empty object is a safe fallback.
        let capacity = self.0.iter().map(|(k, v)| k.len() + v.expose().len() * 2 + 8).sum::<usize>() + 2;
        let mut buffer = Zeroizing::new(Vec::with_capacity(capacity));
        let exposed: BTreeMap<&str, &str> = self.iter().map(|(k, v)| (k, v.expose())).collect();
        if serde_json::to_writer(&mut *buffer, &exposed).is_err() {
            buffer.zeroize();
            buffer.extend_from_slice(b"{}");
        }
        buffer
    }

    pub(crate) fn from_plaintext(plaintext: &[u8]) -> Option<Self> {
        serde_json::from_slice::<BTreeMap<String, Secret>>(plaintext).ok().map(Self)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl FromIterator<(String, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, Secret); N]> for Secrets {
    fn from(pairs: [(&str, Secret); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_contains_no_value() {
        let secrets = Secrets::from([("access_token", Secret::from("canary-1"))]);
        let printed = format!("{secrets:?} {:?}", Secret::from("canary-2"));
        assert!(!printed.contains("canary"), "{printed}");
        assert!(printed.contains("access_token"));
    }

    #[test]
    fn several_secrets_round_trip_through_json() {
        let secrets = Secrets::from([("a", Secret::from("\"quoted\" \u{1f511}\n")), ("b", Secret::default())]);
        let text = secrets.clone().into_json();
        assert_eq!(text.expose(), "{\"a\":\"\\\"quoted\\\" \u{1f511}\\n\",\"b\":\"\"}");
        assert_eq!(Secrets::from_plaintext(text.expose().as_bytes()), Some(secrets));
    }
}
