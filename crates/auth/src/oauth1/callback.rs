//! Parses the callback from the provider (RFC 5849 section 2.2). All of its input may come from an attacker.

use std::fmt;

use switchboard_vault::Secret;

use crate::CallbackError;
use crate::callback::{error_code, named_values};

/// Parameters of the callback. An empty one counts as missing.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct CallbackQuery {
    /// Identifier of the temporary credentials, to be compared with that of the flow.
    pub token: Option<Secret>,
    /// Verifier for the request for token credentials: proof that this browser's user authorized it.
    pub verifier: Option<Secret>,
    /// Why there is no verifier: the code of an `oauth_problem`, `[A-Za-z0-9_.-]{1,64}`, else
    /// `unknown_error`; `access_denied` if the provider sends `denied`. A response with an error is an error,
    /// whatever else it contains.
    pub refusal: Option<String>,
}

impl fmt::Debug for CallbackQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackQuery")
            .field("token", &self.token)
            .field("verifier", &self.verifier)
            .field("refusal", &self.refusal)
            .finish()
    }
}

/// Parses the query of a callback, without `?`. Other parameters are ignored.
///
/// # Errors
/// [`CallbackError`].
pub fn parse_callback(query: &str) -> Result<CallbackQuery, CallbackError> {
    let [token, verifier, problem, denied] =
        named_values(query, ["oauth_token", "oauth_verifier", "oauth_problem", "denied"])?;
    let refusal = problem.map(|raw| error_code(&raw)).or(denied.map(|_| "access_denied".to_owned()));
    Ok(CallbackQuery { token: token.map(Secret::new), verifier: verifier.map(Secret::new), refusal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(query: &str) -> [String; 3] {
        let CallbackQuery { token, verifier, refusal } = parse_callback(query).unwrap();
        let exposed = |secret: Option<Secret>| secret.unwrap_or_default().expose().to_owned();
        [exposed(token), exposed(verifier), refusal.unwrap_or_default()]
    }

    #[test]
    fn tokens_verifiers_and_refusals() {
        let cases = [
            // The callback of section 1.2.
            (
                "oauth_token=hh5s93j4hdidpola&oauth_verifier=hfdp7dh39dks9884",
                ["hh5s93j4hdidpola", "hfdp7dh39dks9884", ""],
            ),
            ("flow=1&oauth_token=a%2Bb+c&oauth_verifier=%C3%BC&x=%FF&%zz=1", ["a+b c", "ü", ""]),
            ("", ["", "", ""]),
            ("denied=tok", ["", "", "access_denied"]),
            ("oauth_token=tok&oauth_problem=user_refused", ["tok", "", "user_refused"]),
            ("oauth_token=t&oauth_verifier=v&denied=t", ["t", "v", "access_denied"]),
            ("denied=1&oauth_problem=permission_denied", ["", "", "permission_denied"]),
            ("oauth_problem=%3Cimg+onerror%3E", ["", "", "unknown_error"]),
        ];
        for (query, expected) in cases {
            assert_eq!(read(query), expected, "{query}");
        }
        let empty = parse_callback("oauth_token=&oauth_verifier&denied=&&oauth_problem=");
        assert_eq!(empty, Ok(CallbackQuery::default()));
        let printed = format!("{:?}", parse_callback("oauth_token=canary&oauth_verifier=canary").unwrap());
        assert!(!printed.contains("canary"), "{printed}");
    }

    #[test]
    fn ambiguous_and_malformed_queries_are_refused() {
        let long = format!("oauth_token={}", "a".repeat(16 * 1024));
        let cases = [
            ("oauth_token=a&oauth_token=a", CallbackError::Repeated("oauth_token")),
            ("oauth_token=&oauth_tok%65n=a", CallbackError::Repeated("oauth_token")),
            ("oauth_verifier=a&oauth_verifier=b", CallbackError::Repeated("oauth_verifier")),
            ("denied=a&denied=b", CallbackError::Repeated("denied")),
            ("oauth_problem=a&oauth_problem", CallbackError::Repeated("oauth_problem")),
            ("oauth_token=%FF", CallbackError::Malformed("oauth_token")),
            ("oauth_verifier=%", CallbackError::Malformed("oauth_verifier")),
            (&long, CallbackError::TooLong),
        ];
        for (query, expected) in cases {
            assert_eq!(parse_callback(query), Err(expected), "{}", &query[..query.len().min(60)]);
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "(oauth_token|oauth_verifier|denied|oauth_problem|=|&|%[0-9A-F]{2}|[a-z%+]){0,20}") {
            let _ = parse_callback(&query);
        }
    }
}
