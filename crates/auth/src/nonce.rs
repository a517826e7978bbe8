//! The `nonce` of `OpenID` Connect (Core section 3.1.2.1): it binds an ID token to its authorization request.
//! It is derived from the request's `state`, which is secret and single-use, so that nothing else has to be
//! stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use switchboard_catalog::{OAuth2, template};

use crate::jws::unverified_claims;

/// The nonce of an authorization request.
pub(crate) fn nonce_of(state: &str) -> String {
    URL_SAFE_NO_PAD.encode(switchboard_vault::digest(&format!("nonce:{state}")))
}

/// Whether an ID token belongs to the authorization request with this state. Only checked if the toolkit
/// sends a nonce. The signature is not verified, since the token came from the token endpoint over TLS
/// (section 3.1.3.7).
pub fn nonce_matches(oauth: &OAuth2, state: &str, id_token: &str) -> bool {
    let uses = |text: &String| template::variables(text).is_ok_and(|used| used.iter().any(|name| name == "nonce"));
    let Some(sent) = oauth.authorization_parameters.get("nonce").filter(|text| uses(text)) else { return true };
    let Ok(expected) = template::expand(sent, &|name| (name == "nonce").then(|| nonce_of(state))) else { return true };
    unverified_claims(id_token)
        .is_some_and(|claims| claims.get("nonce").and_then(|value| value.as_str()) == Some(&expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::oauth;

    fn id_token(claims: &str) -> String {
        format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn an_id_token_repeats_the_nonce_of_its_request() {
        let with = oauth("authorization_parameters = { nonce = \"{nonce}\" }");
        let right = id_token(&format!(r#"{{"nonce":"{}"}}"#, nonce_of("st_1")));
        assert!(nonce_matches(&with, "st_1", &right));
        assert!(!nonce_matches(&with, "st_2", &right), "of another request");
        for other in [id_token("{}"), id_token(r#"{"nonce":"x"}"#), id_token(r#"{"nonce":7}"#), "opaque".to_owned()] {
            assert!(!nonce_matches(&with, "st_1", &other), "{other}");
        }
        assert!(nonce_matches(&oauth(""), "st_1", &id_token("{}")), "none was requested");
        assert_ne!(nonce_of("st_1"), nonce_of("st_2"));
        assert!(!nonce_of("st_1").contains("st_1"));
    }
}
