//! Clients that are not registered manually: dynamic registration (RFC 7591), and clients identified by the URL
//! of their metadata document.
//!
//! The registration response is authoritative (section 3.2.1) for the authentication method and the expiry of
//! the secret. A client that the provider forgot, or whose secret expires, is registered again. Accounts that
//! were connected with the previous client keep using it as long as the provider accepts it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use serde_json::{Map, Value, json};
use switchboard_auth::{TokenErrorKind, decompressed};
use switchboard_catalog::{ClientAuthentication, OAuth2, Scheme, Toolkit};
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_types::{AccountParams, AuditAction, AuditOutcome, AuthConfigId};
use switchboard_vault::{Secret, Secrets};

use super::Failure;
use super::request::MAX_TOKEN_RESPONSE;
use crate::app::Actor;
use crate::app::base::errors::auth_config_not_found;
use crate::app::credential::client::FORMER_PREFIX;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::app::provider::Providers;
use crate::error::{Code, Error, Result};

/// The name that providers show to users.
const CLIENT_NAME: &str = "Switchboard";
/// A secret that expires within this many seconds is not used for a new connection.
const MIN_SECRET_LIFETIME: i64 = 15 * 60;
/// The fields of a client that are stored.
const STORED_FIELDS: [&str; 4] = ["client_id", "client_secret", "token_endpoint_auth_method", EXPIRES_AT];
/// When the secret expires, in seconds since 1970; 0 means never (RFC 7591 section 3.2.1).
const EXPIRES_AT: &str = "client_secret_expires_at";

impl Providers {
    /// The auth config with a usable client. Registers one if there is none; only one of several concurrent
    /// callers does.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn ensure_registered(
        &self,
        actor: &Actor,
        config: AuthConfigRow,
        toolkit: &Toolkit,
        params: &AccountParams,
        redirect_uri: &str,
    ) -> Result<AuthConfigRow> {
        if config.scheme != Scheme::DcrOAuth || self.has_client(&config)? {
            return Ok(config);
        }
        let lock = self.core.account_locks.for_account(&config.id);
        let _guard = lock.lock().await;
        let config = self.reload_config(&config).await?;
        if self.has_client(&config)? {
            return Ok(config);
        }
        let oauth = toolkit.oauth(Scheme::DcrOAuth).ok_or_else(|| Error::internal("toolkit without its scheme"))?;
        let oauth = self.complete_oauth(oauth, params).await?;
        let mut client = self.register_client(&oauth, params, redirect_uri).await?;
        super::client_text::check(&client).map_err(registration_failed)?;
        for (name, secret) in previous_client(&self.credentials.open_auth_config(&config)?).iter() {
            client.insert(name, secret.clone());
        }
        self.set_client(actor, &config, &client, AuditAction::AuthConfigRegisterClient).await?;
        self.reload_config(&config).await
    }

    /// Handles a failure because the provider no longer knows the registered client: the next link registers
    /// again. Does nothing for other failures, or if the client has been replaced.
    pub async fn handle_forgotten_client(
        &self,
        actor: &Actor,
        config: &AuthConfigRow,
        client_id: &str,
        failure: &Failure,
    ) {
        let Failure::Refused { error, .. } = failure else { return };
        if config.scheme != Scheme::DcrOAuth || error.kind != TokenErrorKind::InvalidClient {
            return;
        }
        if let Err(error) = self.forget_client(actor, config, client_id).await {
            tracing::warn!(auth_config.id = %config.id, error = error.message(), "a client that the provider no longer knows could not be removed");
        }
    }

    async fn forget_client(&self, actor: &Actor, config: &AuthConfigRow, client_id: &str) -> Result<()> {
        let config = self.reload_config(config).await?;
        let secrets = self.credentials.open_auth_config(&config)?;
        if secrets.get("client_id") != Some(client_id) {
            return Ok(());
        }
        self.set_client(actor, &config, &previous_client(&secrets), AuditAction::AuthConfigForgetClient).await
    }

    /// Whether there is a client for a new connection.
    fn has_client(&self, config: &AuthConfigRow) -> Result<bool> {
        let secrets = self.credentials.open_auth_config(config)?;
        let ends_at = secrets.get(EXPIRES_AT).and_then(|text| text.parse::<i64>().ok()).filter(|at| *at > 0);
        let is_valid = ends_at.is_none_or(|at| self.core.now().as_secs() + MIN_SECRET_LIFETIME < at);
        Ok(secrets.get("client_id").is_some() && is_valid)
    }

    async fn set_client(
        &self,
        actor: &Actor,
        config: &AuthConfigRow,
        client: &Secrets,
        action: AuditAction,
    ) -> Result<()> {
        let unit = Unit::new()
            .with(auth_configs::set_client(config, self.credentials.seal_client(config, client)))
            .with(self.core.audit(actor, action, &config.id, AuditOutcome::Ok, None));
        match self.core.store.apply(unit).await {
            // Another server was faster.
            Ok(_) | Err(WriteError::Refused(Refusal::ClientIsSet)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn reload_config(&self, config: &AuthConfigRow) -> Result<AuthConfigRow> {
        let found = self.core.store.auth_config(&config.project_id, &config.id).await?;
        found.ok_or_else(|| auth_config_not_found(&config.id))
    }

    async fn register_client(&self, oauth: &OAuth2, params: &AccountParams, redirect_uri: &str) -> Result<Secrets> {
        let template =
            oauth.registration_url.as_deref().ok_or_else(|| registration_failed("it takes no registrations"))?;
        let metadata = client_metadata(oauth, &oauth.registration_parameters, redirect_uri);
        let mut request = Request::new(Bytes::from(Value::Object(metadata).to_string()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            self.expand(template, params)?.parse().map_err(|_| registration_failed("its address is not a URL"))?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json.clone());
        request.headers_mut().insert(header::ACCEPT, json);
        let answer = self.send_protocol(request).await.map_err(|error| super::request::egress_error(&error))?;
        let body = decompressed(answer.headers(), answer.body(), MAX_TOKEN_RESPONSE);
        let body: Value = body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null);
        let error = body.get("error").and_then(Value::as_str).filter(|code| code.len() <= 64);
        if !answer.status().is_success() {
            return Err(registration_failed(error.unwrap_or("it gave no client")));
        }
        parse_registration(&body).map_err(|reason| registration_failed(error.unwrap_or(reason)))
    }
}

impl Providers {
    /// The metadata document of an auth config's client. It is public and contains no secret. None for any
    /// other kind of auth config.
    pub async fn client_metadata_document(&self, auth_config: &AuthConfigId) -> Result<Option<Value>> {
        let Some(config) = self.core.store.public_auth_config(auth_config, Scheme::CimdOAuth).await? else {
            return Ok(None);
        };
        let Some(oauth) =
            self.core.toolkit(&config.toolkit).and_then(|toolkit| toolkit.oauth(Scheme::CimdOAuth).cloned())
        else {
            return Ok(None);
        };
        let redirect_uri = self.redirect_uris.of(&config, &AuthConfigSettings::parse(&config.settings)?);
        let oauth = OAuth2 { client_authentication: ClientAuthentication::None, ..oauth };
        let mut metadata = client_metadata(&oauth, &oauth.registration_parameters, &redirect_uri);
        metadata.insert("client_id".to_owned(), self.credentials.client_metadata_url(&config.id).into());
        metadata.insert("client_uri".to_owned(), self.core.settings.public_url.as_str().into());
        Ok(Some(Value::Object(metadata)))
    }
}

/// Parses the client in a registration response, which is authoritative even if it differs from the request.
fn parse_registration(body: &Value) -> std::result::Result<Secrets, &'static str> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let client_id = text("client_id").ok_or("it gave no client")?;
    let mut client = Secrets::from([("client_id", Secret::from(client_id))]);
    let secret = text("client_secret");
    if let Some(secret) = secret {
        client.insert("client_secret", Secret::from(secret));
    }
    if let Some(method) = text("token_endpoint_auth_method") {
        let known =
            ClientAuthentication::from_name(method).ok_or("it wants a way to authenticate that is not known")?;
        let needs_key = known == ClientAuthentication::PrivateKeyJwt;
        if needs_key || (known != ClientAuthentication::None && secret.is_none()) {
            return Err("it wants the client to authenticate and gave it nothing to do so with");
        }
        client.insert("token_endpoint_auth_method", Secret::from(method));
    }
    let ends_at = match body.get(EXPIRES_AT) {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    if let Some(at) = ends_at.filter(|at| *at > 0 && secret.is_some()) {
        client.insert(EXPIRES_AT, Secret::new(at.to_string()));
    }
    Ok(client)
}

/// The client stored under the names of the previous one. If there is no client, the stored previous one.
fn previous_client(secrets: &Secrets) -> Secrets {
    let mut fields = Secrets::new();
    let has_client = secrets.get("client_id").is_some();
    for (name, secret) in secrets.iter() {
        if has_client && STORED_FIELDS.contains(&name) {
            fields.insert(&format!("{FORMER_PREFIX}{name}"), secret.clone());
        } else if !has_client && name.starts_with(FORMER_PREFIX) {
            fields.insert(name, secret.clone());
        }
    }
    fields
}

/// Client metadata (RFC 7591 section 2).
fn client_metadata(oauth: &OAuth2, more: &BTreeMap<String, String>, redirect_uri: &str) -> Map<String, Value> {
    let method = match oauth.client_authentication {
        ClientAuthentication::None => "none",
        ClientAuthentication::ClientSecretBasic | ClientAuthentication::ClientSecretBasicUnencoded => {
            "client_secret_basic"
        }
        _ => "client_secret_post",
    };
    let (grant, response_types) = match oauth.device_authorization_url {
        Some(_) => ("urn:ietf:params:oauth:grant-type:device_code", &[][..]),
        None => ("authorization_code", &["code"][..]),
    };
    let mut metadata = Map::from_iter([
        ("client_name".to_owned(), json!(CLIENT_NAME)),
        ("redirect_uris".to_owned(), json!([redirect_uri])),
        ("grant_types".to_owned(), json!([grant, "refresh_token"])),
        ("response_types".to_owned(), json!(response_types)),
        ("token_endpoint_auth_method".to_owned(), json!(method)),
    ]);
    if !oauth.scopes.is_empty() {
        metadata.insert("scope".to_owned(), oauth.scopes.join(" ").into());
    }
    for (name, value) in more {
        metadata.insert(name.clone(), value.as_str().into());
    }
    metadata
}

fn registration_failed(reason: &str) -> Error {
    Error::new(Code::UpstreamUnreachable, format!("The provider did not register this server as a client: {reason}"))
        .fix("Register a client by hand and use authScheme OAUTH2, if the provider allows that.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_response_is_authoritative() {
        let read = |body: Value| {
            parse_registration(&body).map(|client| {
                let text = |name: &str| client.get(name).unwrap_or_default().to_owned();
                (text("client_secret"), text("token_endpoint_auth_method"), text(EXPIRES_AT))
            })
        };
        let of = |secret: &str, method: &str, ends: &str| Ok((secret.to_owned(), method.to_owned(), ends.to_owned()));
        assert_eq!(read(json!({ "client_id": "c", "client_secret": "s" })), of("s", "", ""));
        assert_eq!(
            read(json!({ "client_id": "c", "client_secret": "s", "client_secret_expires_at": 1_900_000_000,
                "token_endpoint_auth_method": "client_secret_basic" })),
            of("s", "client_secret_basic", "1900000000")
        );
        assert_eq!(
            read(json!({ "client_id": "c", "client_secret": "s", "client_secret_expires_at": 0 })),
            of("s", "", "")
        );
        assert_eq!(read(json!({ "client_id": "c", "token_endpoint_auth_method": "none" })), of("", "none", ""));
        for body in [
            json!({ "client_secret": "s" }),
            json!({ "client_id": "" }),
            json!({ "client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "tls_client_auth" }),
            json!({ "client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "private_key_jwt" }),
            json!({ "client_id": "c", "token_endpoint_auth_method": "client_secret_basic" }),
        ] {
            assert!(read(body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn one_previous_client_is_kept() {
        let pairs = |secrets: &Secrets| -> Vec<(String, String)> {
            secrets.iter().map(|(name, secret)| (name.to_owned(), secret.expose().to_owned())).collect()
        };
        let first = Secrets::from([("client_id", Secret::from("a")), ("client_secret", Secret::from("s"))]);
        let previous = previous_client(&first);
        let expected = [("former_client_id", "a"), ("former_client_secret", "s")];
        assert_eq!(pairs(&previous), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(
            pairs(&previous_client(&previous)),
            pairs(&previous),
            "the previous client is kept until there is a new one"
        );
        let mut second = previous.clone();
        second.insert("client_id", Secret::from("b"));
        assert_eq!(pairs(&previous_client(&second)), [("former_client_id".to_owned(), "b".to_owned())]);
    }
}
