//! Validates the client that a provider returns from dynamic registration (RFC 7591). Its values are used in
//! headers, forms and the authorization URL.

use switchboard_vault::Secrets;

/// Maximum size of each value, in bytes.
const MAX_BYTES: [(&str, usize); 2] = [("client_id", 1_024), ("client_secret", 4_096)];

/// Rejects a client with a value that is too long or contains characters that RFC 6749 (appendix A.1 and A.2)
/// does not allow, such as line breaks.
pub(super) fn check(client: &Secrets) -> Result<(), &'static str> {
    for (name, max) in MAX_BYTES {
        let Some(text) = client.get(name) else { continue };
        if text.len() > max {
            return Err("the client that it gave is too long");
        }
        if !text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
            return Err("the client that it gave has characters that no client has");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use switchboard_vault::Secret;

    use super::*;

    #[test]
    fn a_client_is_printable_ascii_of_limited_length() {
        for (name, text, is_accepted) in [
            ("client_id", "3f0c a-client~id".to_owned(), true),
            ("client_id", "x".repeat(1_024), true),
            ("client_id", "x".repeat(1_025), false),
            ("client_id", "a\r\nx-injected: 1".to_owned(), false),
            ("client_id", "ключ".to_owned(), false),
            ("client_secret", "x".repeat(4_096), true),
            ("client_secret", "x".repeat(500_000), false),
            ("client_secret", "a\0b".to_owned(), false),
            ("client_secret", "a\u{7f}".to_owned(), false),
        ] {
            let client = Secrets::from([(name, Secret::new(text))]);
            assert_eq!(check(&client).is_ok(), is_accepted, "{name}");
        }
    }
}
