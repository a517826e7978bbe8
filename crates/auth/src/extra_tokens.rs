//! Further tokens of a token response, such as one for another API, or a user's in addition to an app's.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use switchboard_vault::Secret;

use crate::token_error::{TokenError, find};
use crate::token_response::{ParseOptions, ProviderResponse, in_seconds, seconds, secret};

/// The further tokens of a response.
pub(crate) struct ExtraTokens {
    pub(crate) tokens: BTreeMap<String, Secret>,
    pub(crate) refresh: BTreeMap<String, Secret>,
    /// Seconds until the first of them expires.
    pub(crate) expires_in: Option<u64>,
}

impl ExtraTokens {
    pub(crate) fn read(
        reading: &ParseOptions<'_>,
        answer: &ProviderResponse<'_>,
        document: &mut Map<String, Value>,
    ) -> Result<Self, TokenError> {
        let mut read = Self { tokens: BTreeMap::new(), refresh: BTreeMap::new(), expires_in: None };
        for token in reading.extra {
            let lifetime = token.expires_in.as_deref().and_then(|place| find(document, place)).and_then(seconds);
            let Some(found) = secret(answer, document, &token.access_token, "further token")? else { continue };
            read.tokens.insert(token.name.clone(), found);
            let refresh = token.refresh_token.as_deref();
            if let Some(found) = refresh.map(|at| secret(answer, document, at, "refresh token")).transpose()?.flatten()
            {
                read.refresh.insert(token.name.clone(), found);
            }
            let lifetime = lifetime.map(|amount| in_seconds(reading.response, amount));
            read.expires_in = read.expires_in.into_iter().chain(lifetime).min();
        }
        Ok(read)
    }

    /// The token to use as the access token if it is the only one, with its refresh token and name.
    pub(crate) fn only(&mut self, reading: &ParseOptions<'_>) -> Option<(Secret, Option<Secret>, Option<String>)> {
        let name = &reading.extra.iter().find(|token| token.alone)?.name;
        let token = self.tokens.remove(name)?;
        Some((token, self.refresh.remove(name), Some(name.clone())))
    }
}
