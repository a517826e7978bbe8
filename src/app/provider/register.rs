//! Clients that nobody registers by hand: one that registers itself at the provider (RFC 7591), and one
//! whose identifier is the URL of its own description.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use serde_json::{Map, Value, json};
use switchboard_catalog::{ClientAuthentication, OAuth2, Scheme, Toolkit};
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::{Secret, Secrets};

use crate::app::params::AccountParams;
use crate::app::{Actor, App};
use crate::error::{Code, Error, Result};

/// Name that providers show to users.
const CLIENT_NAME: &str = "Switchboard";

impl App {
    /// The auth config with a client, which is registered now if it has none. The first registration
    /// of several at once counts.
    pub async fn registered(
        &self,
        actor: &Actor,
        config: AuthConfigRow,
        toolkit: &Toolkit,
        params: &AccountParams,
        redirect_uri: &str,
    ) -> Result<AuthConfigRow> {
        if config.scheme != Scheme::DcrOAuth.as_str() || config.credentials_sealed.is_some() {
            return Ok(config);
        }
        let oauth = toolkit.oauth(Scheme::DcrOAuth).ok_or_else(|| Error::internal("toolkit without its scheme"))?;
        let oauth = self.completed(oauth, params).await?;
        let client = self.register_client(&oauth, params, redirect_uri).await?;
        let sealed = self.seal_client(&config, &client);
        let unit = Unit::new().with(auth_configs::set_client(&config, sealed)).with(self.audit(
            actor,
            "auth_config.register_client",
            &config.id,
            "ok",
            None,
        ));
        match self.store.apply(unit).await {
            Ok(_) | Err(WriteError::Refused("client_is_set")) => {}
            Err(error) => return Err(error.into()),
        }
        let found = self.store.auth_config(&config.project_id, &config.id).await?;
        found.ok_or_else(|| crate::app::auth_configs::not_found(&config.id))
    }

    async fn register_client(&self, oauth: &OAuth2, params: &AccountParams, redirect_uri: &str) -> Result<Secrets> {
        let template = oauth.registration_url.as_deref().ok_or_else(|| refused("it takes no registrations"))?;
        let metadata = client_metadata(oauth, &oauth.registration_parameters, redirect_uri);
        let mut request = Request::new(Bytes::from(Value::Object(metadata).to_string()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.expand(template, params)?.parse().map_err(|_| refused("its address is not a URL"))?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json.clone());
        request.headers_mut().insert(header::ACCEPT, json);
        let answer = self.send_protocol(request).await.map_err(|error| crate::app::upstream::egress_error(&error))?;
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        match text("client_id") {
            Some(client_id) if answer.status().is_success() => {
                let mut client = Secrets::from([("client_id", Secret::from(client_id))]);
                if let Some(secret) = text("client_secret") {
                    client.insert("client_secret", Secret::from(secret));
                }
                Ok(client)
            }
            _ => Err(refused(text("error").filter(|code| code.len() <= 64).unwrap_or("it gave no client"))),
        }
    }

    /// The identifier of a client that describes itself: where the description is.
    pub fn client_metadata_url(&self, auth_config: &str) -> String {
        format!("{}/api/v3.1/toolkits/auth/client/{auth_config}", self.settings.public_url)
    }

    /// The description of an auth config's client, for whoever asks: nothing in it is secret. None
    /// for any other kind of auth config.
    pub async fn client_description(&self, auth_config: &str) -> Result<Option<Value>> {
        let Some(config) = self.store.public_auth_config(auth_config, Scheme::CimdOAuth.as_str()).await? else {
            return Ok(None);
        };
        let Some(oauth) = self.toolkit(&config.toolkit).and_then(|toolkit| toolkit.oauth(Scheme::CimdOAuth).cloned())
        else {
            return Ok(None);
        };
        let redirect_uri = format!("{}/api/v3.1/toolkits/auth/callback/{}", self.settings.public_url, config.id);
        let oauth = OAuth2 { client_authentication: ClientAuthentication::None, ..oauth };
        let mut metadata = client_metadata(&oauth, &oauth.registration_parameters, &redirect_uri);
        metadata.insert("client_id".to_owned(), self.client_metadata_url(&config.id).into());
        metadata.insert("client_uri".to_owned(), self.settings.public_url.as_str().into());
        Ok(Some(Value::Object(metadata)))
    }
}

/// What a client says of itself (RFC 7591 section 2).
fn client_metadata(oauth: &OAuth2, more: &BTreeMap<String, String>, redirect_uri: &str) -> Map<String, Value> {
    let method = match oauth.client_authentication {
        ClientAuthentication::None => "none",
        ClientAuthentication::ClientSecretBasic => "client_secret_basic",
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

fn refused(why: &str) -> Error {
    Error::new(Code::UpstreamUnreachable, format!("The provider did not register this server as a client: {why}"))
        .fix("Register a client by hand and use authScheme OAUTH2, if the provider allows that.")
}
