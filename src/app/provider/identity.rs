//! Who an account is at its provider. Requested once, when the account connects, and stored with it. The e-mail
//! address is for display only (R32). ID tokens are not used, because they are not verified here.

use serde_json::Value;
use switchboard_catalog::{Identity, Scheme, Toolkit};
use switchboard_vault::Secrets;

use super::request::Verification;
use crate::app::provider::Providers;
use switchboard_types::{AccountIdentity, AccountParams};

/// Maximum length of an identity value, in characters.
const MAX_CHARS: usize = 512;

impl Providers {
    /// Requests the identity of an account; none if the toolkit does not define how, or the provider does not
    /// respond. `answer` is the token response, which contains the identity at some providers.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn identify(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        secrets: &Secrets,
        params: &AccountParams,
        answer: Option<&Value>,
    ) -> Option<AccountIdentity> {
        let identity = toolkit.identity_of(scheme)?;
        let Some(request) = &identity.request else { return read(identity, answer?) };
        match self.probe(toolkit, scheme, request, secrets, params).await {
            Ok((Verification::Accepted, answer)) => read(identity, &answer),
            Ok((verdict, _)) => {
                tracing::warn!(toolkit = %toolkit.slug, ?verdict, "the provider did not say who an account is");
                None
            }
            Err(error) => {
                tracing::warn!(toolkit = %toolkit.slug, error = error.message(), "requesting the identity of an account failed");
                None
            }
        }
    }
}

/// The identity in a response; none without an identifier.
fn read(identity: &Identity, answer: &Value) -> Option<AccountIdentity> {
    let at = |pointer: &Option<String>| text(answer.pointer(pointer.as_deref()?)?);
    Some(AccountIdentity {
        id: text(answer.pointer(&identity.id)?)?,
        email: at(&identity.email),
        name: at(&identity.name),
        avatar_url: at(&identity.avatar).filter(|url| url.starts_with("https://")),
        tenant_id: at(&identity.tenant),
        tenant_name: at(&identity.tenant_name),
    })
}

/// A scalar value as a line of text.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let is_valid = text.chars().count() <= MAX_CHARS && !text.chars().any(char::is_control) && !text.trim().is_empty();
    is_valid.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn identities_are_read_from_responses() {
        let identity: Identity = serde_json::from_value(json!({
            "id": "/user/id", "email": "/user/email", "name": "/user/name", "avatar": "/user/picture",
            "tenant": "/team/id", "tenant_name": "/team/name",
        }))
        .unwrap();
        let answer = json!({
            "user": { "id": 7, "email": "a@b.example", "name": "A\nB", "picture": "javascript:alert(1)" },
            "team": { "id": "T1", "name": "" },
        });
        let expected = AccountIdentity {
            id: "7".to_owned(),
            email: Some("a@b.example".to_owned()),
            tenant_id: Some("T1".to_owned()),
            ..AccountIdentity::default()
        };
        assert_eq!(read(&identity, &answer), Some(expected));
        assert_eq!(read(&identity, &json!({ "user": {} })), None);
    }
}
