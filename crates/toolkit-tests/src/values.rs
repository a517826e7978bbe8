//! The values of a scenario: those that the author sets (`--set`), those of the file (defaults, examples, options),
//! and generated ones. Secrets and generated values are printed as their names.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use switchboard_catalog::{
    ClientAuthentication, Field, FieldFormat, Scheme, SignatureMethod, SigningAlgorithm, Toolkit, template,
};

use super::placeholders::{CLIENT_ID, Placeholders, captures};
use super::raw::Substitutions;

/// Settings of the OAuth client in an auth config, besides the connection fields.
const CLIENT_SETTINGS: [&str; 6] =
    ["client_id", "client_secret", "private_key", "key_id", "certificate", "consumer_secret"];

/// All values of one scenario.
pub(super) struct Values {
    placeholders: Placeholders,
    /// The connection fields that the user or developer enters, in order.
    pub(super) entered: Vec<(Field, String)>,
    /// The OAuth client of the auth config.
    pub(super) client: BTreeMap<String, String>,
}

impl Values {
    /// The values for one scheme. `settings` are those that the author sets.
    ///
    /// # Errors
    /// A value that cannot be generated, with the option that sets it; a setting that is unknown or invalid.
    pub(super) fn new(toolkit: &Toolkit, scheme: Scheme, settings: &BTreeMap<String, String>) -> Result<Self> {
        let mut values = Self { placeholders: Placeholders::empty(), entered: Vec::new(), client: BTreeMap::new() };
        let fields = toolkit.connection_fields(scheme);
        if let Some(name) = settings.keys().find(|name| !is_known(name, &fields)) {
            let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).chain(CLIENT_SETTINGS).collect();
            bail!("--set {name}: {scheme} has no such value; there are {}", names.join(", "));
        }
        let keys = ec_keys(toolkit, scheme);
        let mut missing = Vec::new();
        for field in fields {
            let is_visible = field.visible_when.as_ref().is_none_or(|when| values.text(&when.field) == when.is);
            if !is_visible {
                continue;
            }
            match values.field_value(&field, &keys, settings.get(&field.name))? {
                Some(value) => values.entered.push((field, value)),
                None if field.required => missing.push(field),
                None => {}
            }
        }
        if !missing.is_empty() {
            bail!("{scheme} needs values that cannot be generated; give them with {}", set_options(&missing));
        }
        let entered =
            |name: &str| values.entered.iter().find(|(field, _)| field.name == name).map(|(_, value)| value.as_str());
        let implied = toolkit.implied(scheme, entered);
        for (name, value) in implied {
            values.placeholders.insert(&name, &value);
        }
        for capture in captures(toolkit, scheme) {
            values.placeholders.add_capture(&capture);
        }
        values.add_client(toolkit, scheme, settings)?;
        values.add_installation_variables();
        Ok(values)
    }

    /// The value of a template variable.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let entered = || self.entered.iter().find(|(field, _)| field.name == name).map(|(_, value)| value.clone());
        entered().or_else(|| self.client.get(name).cloned()).or_else(|| self.placeholders.get(name))
    }

    /// How values are printed.
    pub(super) fn substitutions(&mut self) -> &mut Substitutions {
        &mut self.placeholders.substitutions
    }

    /// Variables of the installation: the address of its sandbox.
    pub(super) fn installation_variables(&self) -> BTreeMap<String, String> {
        let variables = ["sandbox_url", "sandbox_host"];
        variables.into_iter().filter_map(|name| Some((name.to_owned(), self.get(name)?))).collect()
    }

    /// The secrets among the entered values.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&Field, &str)> {
        self.entered.iter().filter(|(field, _)| field.secret).map(|(field, value)| (field, value.as_str()))
    }

    fn text(&self, name: &str) -> String {
        self.entered.iter().find(|(field, _)| field.name == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The value of a field: set by the author, else from the file, else generated.
    fn field_value(&mut self, field: &Field, keys: &[String], setting: Option<&String>) -> Result<Option<String>> {
        if let Some(setting) = setting {
            let value = field.clean(setting).to_owned();
            field.check(&value).map_err(|reason| anyhow!("--set {}: {reason}", field.name))?;
            self.record(field, &value);
            return Ok(Some(value));
        }
        let options = field.options.first().map(|option| &option.value);
        let candidates = [field.default.as_ref(), options, field.example.as_ref()];
        // An example such as `key_…` shows only how a value begins.
        let is_complete = |value: &&String| value.is_ascii() && !(field.secret && field.pattern.is_none());
        let is_usable = |value: &&String| is_complete(value) && field.check(value).is_ok();
        if let Some(value) = candidates.into_iter().flatten().find(is_usable) {
            self.record(field, value);
            return Ok(Some(value.clone()));
        }
        if field.name == "client_id" && field.check(CLIENT_ID).is_ok() {
            return Ok(Some(CLIENT_ID.to_owned()));
        }
        let generated = match field.format {
            _ if keys.contains(&field.name) => ec_private_key()?,
            // Another kind of key, or a key file.
            FieldFormat::Document => return Ok(None),
            FieldFormat::Text if field.secret => generated_secret(&field.name),
            _ => {
                self.placeholders.generate(&field.name, field.format);
                return Ok(self.get(&field.name).filter(|value| field.check(value).is_ok()));
            }
        };
        self.record(field, &generated);
        Ok(Some(generated).filter(|value| field.check(value).is_ok()))
    }

    fn record(&mut self, field: &Field, value: &str) {
        self.placeholders.insert(&field.name, value);
        if field.secret {
            self.placeholders.substitutions.add(value, &field.name);
        }
    }

    fn add_client(&mut self, toolkit: &Toolkit, scheme: Scheme, settings: &BTreeMap<String, String>) -> Result<()> {
        let text = |name: &str| settings.get(name).cloned();
        let id = text("client_id").unwrap_or_else(|| CLIENT_ID.to_owned());
        match scheme {
            Scheme::OAuth2 | Scheme::DcrOAuth => {
                let secret = text("client_secret").unwrap_or_else(|| generated_secret("client"));
                self.placeholders.insert("client_secret", &secret);
                self.placeholders.substitutions.add(&secret, "client_secret");
                if scheme == Scheme::DcrOAuth {
                    return Ok(());
                }
                let oauth = toolkit.oauth2.as_ref();
                let uses_private_key_jwt =
                    oauth.is_some_and(|oauth| oauth.client_authentication == ClientAuthentication::PrivateKeyJwt);
                self.client = BTreeMap::from([("client_id".to_owned(), id), ("client_secret".to_owned(), secret)]);
                for name in ["private_key", "key_id", "certificate"] {
                    if let Some(value) = text(name) {
                        self.client.insert(name.to_owned(), value);
                    }
                }
                if uses_private_key_jwt && !settings.contains_key("private_key") {
                    if oauth.is_some_and(|oauth| oauth.client_assertion.algorithm == SigningAlgorithm::ES256) {
                        self.client.insert("private_key".to_owned(), ec_private_key()?);
                        return Ok(());
                    }
                    bail!(
                        "the client authenticates with a key that cannot be generated; give one of your own with \
                         --set private_key=@key.pem"
                    );
                }
            }
            Scheme::OAuth1 => {
                let is_rsa =
                    toolkit.oauth1.as_ref().map(|oauth| oauth.signature_method) == Some(SignatureMethod::RsaSha256);
                let secret = text("consumer_secret").or_else(|| (!is_rsa).then(|| generated_secret("consumer")));
                let secret = secret.context("requests are signed with a key: --set consumer_secret=@key.pem")?;
                self.placeholders.substitutions.add(&secret, "consumer_secret");
                self.client = BTreeMap::from([("consumer_key".to_owned(), id), ("consumer_secret".to_owned(), secret)]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds the address of the sandbox.
    fn add_installation_variables(&mut self) {
        self.placeholders.generate("sandbox_url", FieldFormat::Origin);
        if let Some(host) = self.get("sandbox_url").as_deref().and_then(|url| url.strip_prefix("https://")) {
            self.placeholders.insert("sandbox_host", host);
        }
    }
}

/// A secret that is long enough for every algorithm and not part of any other text.
fn generated_secret(name: &str) -> String {
    format!("zq-{name}-secret-{}", "0123456789abcdef".repeat(2))
}

/// Names of fields with an ECDSA key, which can be generated.
fn ec_keys(toolkit: &Toolkit, scheme: Scheme) -> Vec<String> {
    let steps = toolkit.token_scheme(scheme).into_iter().flat_map(|tokens| &tokens.steps);
    let scheme_assertion = toolkit.token_scheme(scheme).and_then(|tokens| tokens.assertion.as_ref());
    let assertions = steps.filter_map(|step| step.assertion.as_ref()).chain(scheme_assertion);
    let keys = assertions.filter(|assertion| assertion.algorithm == SigningAlgorithm::ES256);
    keys.filter_map(|assertion| template::variables(&assertion.key).ok()).flatten().collect()
}

/// A new key on P-256, as a PEM document (RFC 5958).
fn ec_private_key() -> Result<String> {
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let key = key.map_err(|_| anyhow!("no key could be made"))?;
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(key)))
}

fn is_known(name: &str, fields: &[Field]) -> bool {
    CLIENT_SETTINGS.contains(&name) || fields.iter().any(|field| field.name == name)
}

fn set_options(missing: &[Field]) -> String {
    let option = |field: &Field| match field.format {
        FieldFormat::Document => format!("--set {}=@FILE ({})", field.name, field.display_name),
        _ => format!("--set {}=VALUE ({})", field.name, field.display_name),
    };
    missing.iter().map(option).collect::<Vec<_>>().join(", ")
}
