//! The authorization request: the URL to which the user's browser is redirected (RFC 6749 section 4.1.1).

use std::borrow::Cow;
use std::fmt;

use switchboard_catalog::{OAuth2, Pkce, QueryEncoding};
use url::Url;

use crate::error::{BuildError, endpoint, expand};
use crate::nonce::nonce_of;
use crate::{Variables, form};

/// Parameters of the protocol; a toolkit cannot set them.
const RESERVED: [&str; 6] =
    ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"];

/// The inputs of an authorization request.
pub struct AuthorizationRequest<'a> {
    /// The provider.
    pub oauth: &'a OAuth2,
    /// Client identifier.
    pub client_id: &'a str,
    /// Redirect URI; the token request repeats it (R24).
    pub redirect_uri: &'a str,
    /// Single-use value that identifies the attempt (R02).
    pub state: &'a str,
    /// Requested scopes, with defaults applied. If empty, the parameter is omitted.
    pub scopes: &'a [String],
    /// User-level scopes, for toolkits with two kinds of token.
    pub user_scopes: &'a [String],
    /// S256 challenge (RFC 7636 section 4.3); not sent to a provider that rejects it.
    pub code_challenge: Option<&'a str>,
    /// Resource indicator (RFC 8707); `None` if the provider does not support it.
    pub resource: Option<&'a str>,
    /// Thumbprint of the key to bind the code to (RFC 9449 section 10).
    pub dpop_jkt: Option<&'a str>,
    /// Values of template variables.
    pub variables: Variables<'a>,
}

impl AuthorizationRequest<'_> {
    /// The URL. Keeps the toolkit's own query and parameters, unless they conflict with a parameter of the
    /// protocol.
    ///
    /// # Errors
    /// [`BuildError::Template`], [`BuildError::Endpoint`], [`BuildError::MissingPkce`] and
    /// [`BuildError::UserScopes`].
    pub fn url(&self) -> Result<Url, BuildError> {
        let mut url = endpoint("authorization URL", &self.oauth.authorization_url, self.variables)?;
        let pairs = self.parameters()?;
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        form::set_query(&mut url, &pairs);
        if self.oauth.query_encoding == QueryEncoding::Percent {
            let percent = url.query().map(|query| query.replace('+', "%20"));
            url.set_query(percent.as_deref());
        }
        Ok(url)
    }

    /// The URL after a pushed authorization request (RFC 9126 section 4), which refers to the pushed
    /// parameters.
    ///
    /// # Errors
    /// [`BuildError::Template`] and [`BuildError::Endpoint`].
    pub fn pushed_url(&self, request_uri: &str) -> Result<Url, BuildError> {
        let mut url = endpoint("authorization URL", &self.oauth.authorization_url, self.variables)?;
        form::set_query(&mut url, &[("client_id", self.client_id), ("request_uri", request_uri)]);
        Ok(url)
    }

    /// Parameters in order, with the provider's names.
    pub(crate) fn parameters(&self) -> Result<Vec<Pair<'_>>, BuildError> {
        let oauth = self.oauth;
        let mut pairs: Vec<(&str, Cow<'_, str>)> = vec![
            ("response_type", "code".into()),
            ("client_id", self.client_id.into()),
            ("redirect_uri", self.redirect_uri.into()),
        ];
        self.add_scopes(&mut pairs)?;
        pairs.push(("state", self.state.into()));
        if oauth.pkce == Pkce::S256 {
            let challenge = self.code_challenge.ok_or(BuildError::MissingPkce("code challenge"))?;
            pairs.push(("code_challenge", challenge.into()));
            pairs.push(("code_challenge_method", "S256".into()));
        }
        if let Some(resource) = self.resource {
            pairs.push(("resource", resource.into()));
        }
        if let Some(thumbprint) = self.dpop_jkt {
            pairs.push(("dpop_jkt", thumbprint.into()));
        }
        let known = |name: &str| if name == "nonce" { Some(nonce_of(self.state)) } else { (self.variables)(name) };
        for (name, template) in &oauth.authorization_parameters {
            let taken = RESERVED.contains(&name.as_str()) || pairs.iter().any(|(ours, _)| ours == name);
            if !taken {
                pairs.push((name, expand("authorization parameter", template, &known)?.into()));
            }
        }
        pairs.retain(|(name, _)| !oauth.authorization_omit.iter().any(|omitted| omitted == name));
        Ok(pairs.into_iter().map(|(name, value)| (renamed(oauth, name), value)).collect())
    }

    fn add_scopes<'p>(&'p self, pairs: &mut Vec<(&'p str, Cow<'p, str>)>) -> Result<(), BuildError> {
        let oauth = self.oauth;
        let join = |scopes: &[String]| Cow::from(scopes.join(&oauth.scope_separator));
        if !self.scopes.is_empty() {
            pairs.push((&oauth.scope_parameter, join(self.scopes)));
        }
        if let Some(name) = oauth.optional_scope_parameter.as_deref().filter(|_| !oauth.optional_scopes.is_empty()) {
            pairs.push((name, join(&oauth.optional_scopes)));
        }
        if !self.user_scopes.is_empty() {
            let name = oauth.user_scope_parameter.as_deref().ok_or(BuildError::UserScopes)?;
            pairs.push((name, join(self.user_scopes)));
        }
        Ok(())
    }
}

/// A parameter: name and value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The provider's name for a standard parameter.
pub(crate) fn renamed<'n>(oauth: &'n OAuth2, name: &'n str) -> Cow<'n, str> {
    oauth.parameter_names.get(name).map_or(name, String::as_str).into()
}

impl fmt::Debug for AuthorizationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Omits `state`, which grants access to the attempt.
        f.debug_struct("AuthorizationRequest")
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{no_variables, oauth, strings};

    fn url(oauth: &OAuth2, scopes: &[&str], user_scopes: &[&str]) -> Result<String, BuildError> {
        let request = AuthorizationRequest {
            oauth,
            client_id: "client 1",
            redirect_uri: "https://sw.example/cb?x=1",
            state: "st-1",
            scopes: &strings(scopes),
            user_scopes: &strings(user_scopes),
            code_challenge: Some("chal"),
            resource: None,
            dpop_jkt: None,
            variables: &|name| (name == "site").then(|| "acme".to_owned()),
        };
        request.url().map(Into::into)
    }

    const FLOW: &str = "response_type=code&client_id=client+1&redirect_uri=https%3A%2F%2Fsw.example%2Fcb%3Fx%3D1";
    const PKCE: &str = "code_challenge=chal&code_challenge_method=S256";

    #[test]
    fn a_plain_request() {
        let oauth = oauth("");
        let expected = format!("https://p.example/authorize?{FLOW}&scope=read+write%3Aall&state=st-1&{PKCE}");
        assert_eq!(url(&oauth, &["read", "write:all"], &[]), Ok(expected));
        let without_scope = format!("https://p.example/authorize?{FLOW}&state=st-1&{PKCE}");
        assert_eq!(url(&oauth, &[], &[]), Ok(without_scope));
    }

    #[test]
    fn a_request_with_every_deviation() {
        let oauth = oauth(
            r#"
            authorization_url = "https://{site}.p.example/authorize?tenant=%7Bx%7D&state=theirs"
            pkce = "off"
            scope_separator = ","
            scope_parameter = "scopes"
            user_scope_parameter = "user_scope"
            [authorization_parameters]
            access_type = "offline"
            audience = "https://api.example/"
            claims = "{{\"a\":null}"
            client_id = "theirs"
            code_challenge = "theirs"
            redirect_uri = "https://evil.example/"
            response_type = "token"
            scopes = "theirs"
            state = "theirs"
            user_scope = "theirs"
            "#,
        );
        let expected = format!(
            "https://acme.p.example/authorize?tenant=%7Bx%7D&{FLOW}&scopes=a%2Cb&user_scope=u%2Cv&state=st-1\
             &access_type=offline&audience=https%3A%2F%2Fapi.example%2F&claims=%7B%22a%22%3Anull%7D"
        );
        assert_eq!(url(&oauth, &["a", "b"], &["u", "v"]), Ok(expected));
    }

    #[test]
    fn parameters_are_renamed_left_out_and_encoded() {
        let oauth = oauth(
            r#"
            authorization_omit = ["response_type"]
            parameter_names = { client_id = "client_key", redirect_uri = "redirect_url" }
            optional_scope_parameter = "optional_scope"
            optional_scopes = ["o p", "q"]
            query_encoding = "percent"
            authorization_parameters = { site = "{site}" }
            "#,
        );
        let expected = "https://p.example/authorize?client_key=client%201\
            &redirect_url=https%3A%2F%2Fsw.example%2Fcb%3Fx%3D1&scope=a%20b&optional_scope=o%20p%20q&state=st-1\
            &code_challenge=chal&code_challenge_method=S256&site=acme";
        assert_eq!(url(&oauth, &["a", "b"], &[]).as_deref(), Ok(expected));
    }

    #[test]
    fn a_toolkit_may_fix_its_scope() {
        let oauth = oauth("[authorization_parameters]\nscope = \"fixed\"");
        let expected = format!("https://p.example/authorize?{FLOW}&state=st-1&{PKCE}&scope=fixed");
        assert_eq!(url(&oauth, &[], &[]), Ok(expected));
    }

    #[test]
    fn invalid_scopes_are_an_error() {
        assert_eq!(url(&oauth(""), &[], &["u"]), Err(BuildError::UserScopes));
        let request = AuthorizationRequest {
            oauth: &oauth(""),
            client_id: "c",
            redirect_uri: "https://sw.example/cb",
            state: "canary-state",
            scopes: &[],
            user_scopes: &[],
            code_challenge: None,
            resource: None,
            dpop_jkt: None,
            variables: &no_variables,
        };
        assert_eq!(request.url(), Err(BuildError::MissingPkce("code challenge")));
        assert!(!format!("{request:?}").contains("canary"));
    }
}
