//! Gets a token by a chain of calls without the user (contract schemes `S2S_OAUTH2` and similar).

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use switchboard_auth::{
    ClientCredentials, ParseOptions, ProviderResponse, RequestSecrets, StepResponse, call_request, parse_step_response,
};
use switchboard_catalog::{Call, TokenScheme};
use switchboard_vault::{Secret, Secrets};

use super::method::alternative_call;
use super::tokens::{Tokens, build_failure};
use super::{Failure, retry_after};
use crate::app::provider::Providers;
use crate::error::Error;
use switchboard_types::AccountParams;

/// The values available to a call of the chain.
struct ChainValues<'a> {
    /// The secrets that were entered.
    secrets: &'a Secrets,
    params: &'a AccountParams,
    /// Members of a JSON key file among the secrets.
    document: &'a Secrets,
    /// Tokens from earlier calls.
    tokens: BTreeMap<String, Secret>,
    captured: BTreeMap<String, String>,
}

impl Providers {
    /// Gets a token through the scheme's calls. `secrets` and `params` were entered by the user.
    pub async fn fetch_token(&self, scheme: &TokenScheme, secrets: &Secrets, params: &AccountParams) -> Tokens {
        let document = json_members(secrets);
        if let Some(assertion) = &scheme.assertion {
            return self.self_signed_token(assertion, secrets, params, &document);
        }
        let (last, first) = scheme.steps.split_last().ok_or_else(|| Failure::Unsent(Error::internal("no step")))?;
        let (tokens, captured) = (BTreeMap::new(), BTreeMap::new());
        let mut known = ChainValues { secrets, params, document: &document, tokens, captured };
        for step in first {
            let read = self.call_step(step, &known).await?;
            known.captured.extend(read.captured);
            known.tokens.extend(read.tokens.into_iter().map(|(name, token)| (name.to_owned(), token)));
        }
        let reading = ParseOptions::of_call(&last.response, scheme.expires_in);
        let mut tokens = self.call_last_step(last, reading, &known).await?;
        known.captured.append(&mut tokens.captured);
        tokens.captured = known.captured;
        Ok(tokens)
    }

    /// A call before the last one. A call that refuses the client has no side effects, so it is repeated with
    /// the alternative authentication method.
    async fn call_step(&self, step: &Call, known: &ChainValues<'_>) -> Result<StepResponse, Failure> {
        let client_id = self.chain_value(known, "client_id").unwrap_or_default();
        let (started_at, used) = (Instant::now(), self.call_with_known_method(step, &client_id));
        let result = Box::pin(self.send_step(&used, known)).await;
        let Some(other) = alternative_call(&used, &result, started_at) else { return result };
        let retried = Box::pin(self.send_step(&other, known)).await;
        self.record_call_method(&other, &client_id, &retried);
        retried
    }

    /// The last call, with the same retry.
    async fn call_last_step(&self, last: &Call, reading: ParseOptions<'_>, known: &ChainValues<'_>) -> Tokens {
        let client_id = self.chain_value(known, "client_id").unwrap_or_default();
        let entered: Vec<&str> = known.secrets.iter().map(|(_, secret)| secret.expose()).collect();
        let (started_at, used) = (Instant::now(), self.call_with_known_method(last, &client_id));
        let result = Box::pin(self.request_tokens(self.build_call(&used, known)?, reading, &entered)).await;
        let Some(other) = alternative_call(&used, &result, started_at) else { return result };
        let retried = Box::pin(self.request_tokens(self.build_call(&other, known)?, reading, &entered)).await;
        self.record_call_method(&other, &client_id, &retried);
        retried
    }

    async fn send_step(&self, step: &Call, known: &ChainValues<'_>) -> Result<StepResponse, Failure> {
        let request = self.build_call(step, known)?;
        let sent = RequestSecrets::of(&request);
        let (status, headers, body) = self.send_parts(request).await?;
        let answer = ProviderResponse {
            status: status.as_u16(),
            headers: &headers,
            body: &body,
            now: self.core.now().as_secs(),
        };
        let entered: Vec<&str> = known.secrets.iter().map(|(_, secret)| secret.expose()).collect();
        parse_step_response(&step.response, &answer).map_err(|error| Failure::Refused {
            error: sent.mask(error).without(&entered),
            status,
            retry_after: retry_after(&headers, self.core.now()),
            unread: None,
        })
    }

    fn chain_value(&self, known: &ChainValues<'_>, name: &str) -> Option<String> {
        let secret = known.tokens.get(name).map(Secret::expose).or_else(|| known.secrets.get(name));
        let captured = || known.captured.get(name).map(String::as_str);
        let found = secret.or_else(captured).or_else(|| known.document.get(name));
        found.map(str::to_owned).or_else(|| self.core.variable(known.params, name))
    }

    fn build_call(&self, call: &Call, known: &ChainValues<'_>) -> Result<Request<Bytes>, Failure> {
        let value = |name: &str| self.chain_value(known, name);
        let client_id = value("client_id");
        let client_secret = value("client_secret").map(Secret::new);
        let client = client_id.as_deref().map(|client_id| ClientCredentials {
            client_id,
            client_secret: client_secret.as_ref().map(Secret::expose),
            assertion: None,
        });
        call_request(call, client.as_ref(), self.moment(&self.unique()), &value).map_err(build_failure)
    }
}

/// The members of a JSON file among the secrets, such as a service account's key file.
fn json_members(secrets: &Secrets) -> Secrets {
    let Some(file) = secrets.get("credentials_json") else { return Secrets::new() };
    let Ok(Value::Object(members)) = serde_json::from_str(file) else { return Secrets::new() };
    let text = |(name, value)| match value {
        Value::String(text) => Some((name, Secret::new(text))),
        _ => None,
    };
    members.into_iter().filter_map(text).collect()
}
