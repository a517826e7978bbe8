//! The values of a scenario: the author's (`--set`), of the file's (defaults, examples,
//! options), and generated where neither has one. Secrets and generated values are printed as their names.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use switchboard_catalog::{
    Capture, ClientAuthentication, Field, FieldFormat, Scheme, SignatureMethod, SigningAlgorithm, Toolkit, template,
};

use super::placeholders::{CLIENT_ID, Placeholders, captures};
use super::raw::Shown;

/// Names under which an auth config takes its client, besides the fields of a connection.
const OF_CLIENTS: [&str; 6] = ["client_id", "client_secret", "private_key", "key_id", "certificate", "consumer_secret"];

/// All values of one scenario.
pub(super) struct Values {
    known: Placeholders,
    /// What is entered when connecting, in the order of the fields.
    pub(super) entered: Vec<(Field, String)>,
    /// The client of the auth config.
    pub(super) client: BTreeMap<String, String>,
}

impl Values {
    /// For one scheme; `given` is what the author sets.
    ///
    /// # Errors
    /// A value that cannot be generated, and how to give it; one that is set and unknown or invalid.
    pub(super) fn new(toolkit: &Toolkit, scheme: Scheme, given: &BTreeMap<String, String>) -> Result<Self> {
        let mut made = Self { known: Placeholders::empty(), entered: Vec::new(), client: BTreeMap::new() };
        let asked = toolkit.connection_fields(scheme);
        if let Some(name) = given.keys().find(|name| !is_known(name, &asked)) {
            let names: Vec<&str> = asked.iter().map(|field| field.name.as_str()).chain(OF_CLIENTS).collect();
            bail!("--set {name}: {scheme} has no such value; there are {}", names.join(", "));
        }
        let keys = ec_keys(toolkit, scheme);
        let mut missing = Vec::new();
        for field in asked {
            let is_visible = field.visible_when.as_ref().is_none_or(|when| made.text(&when.field) == when.is);
            if !is_visible {
                continue;
            }
            match made.of_field(&field, &keys, given.get(&field.name))? {
                Some(value) => made.entered.push((field, value)),
                None if field.required => missing.push(field),
                None => {}
            }
        }
        if !missing.is_empty() {
            bail!("{scheme} needs what nobody can make up; give it with {}", how_to_set(&missing));
        }
        let of_field =
            |name: &str| made.entered.iter().find(|(field, _)| field.name == name).map(|(_, value)| value.as_str());
        let implied = toolkit.implied(scheme, of_field);
        for (name, value) in implied {
            made.known.put(&name, &value);
        }
        for capture in captures(toolkit, scheme) {
            made.of_capture(&capture);
        }
        made.of_client(toolkit, scheme, given)?;
        made.of_installation();
        Ok(made)
    }

    /// The value of a template's variable.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let own = || self.entered.iter().find(|(field, _)| field.name == name).map(|(_, value)| value.clone());
        own().or_else(|| self.client.get(name).cloned()).or_else(|| self.known.get(name))
    }

    /// What is printed for which value.
    pub(super) fn shown(&mut self) -> &mut Shown {
        &mut self.known.shown
    }

    /// Where the built-in sandbox would listen.
    pub(super) fn installation(&self) -> BTreeMap<String, String> {
        let names = ["sandbox_url", "sandbox_host"];
        names.into_iter().filter_map(|name| Some((name.to_owned(), self.get(name)?))).collect()
    }

    /// The secrets that a person entered.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&Field, &str)> {
        self.entered.iter().filter(|(field, _)| field.secret).map(|(field, value)| (field, value.as_str()))
    }

    fn text(&self, name: &str) -> String {
        self.entered.iter().find(|(field, _)| field.name == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The value of a field: the author's, else the file's, else a generated one.
    fn of_field(&mut self, field: &Field, keys: &[String], given: Option<&String>) -> Result<Option<String>> {
        if let Some(given) = given {
            let value = field.clean(given).to_owned();
            field.check(&value).map_err(|reason| anyhow!("--set {}: {reason}", field.name))?;
            self.take(field, &value);
            return Ok(Some(value));
        }
        let options = field.options.first().map(|option| &option.value);
        let of_file = [field.default.as_ref(), options, field.example.as_ref()];
        // An example such as `key_…` shows how a value begins, and is none.
        let is_whole = |value: &&String| value.is_ascii() && !(field.secret && field.pattern.is_none());
        let usable = |value: &&String| is_whole(value) && field.check(value).is_ok();
        if let Some(value) = of_file.into_iter().flatten().find(usable) {
            self.take(field, value);
            return Ok(Some(value.clone()));
        }
        if field.name == "client_id" && field.check(CLIENT_ID).is_ok() {
            return Ok(Some(CLIENT_ID.to_owned()));
        }
        let made = match field.format {
            _ if keys.contains(&field.name) => ec_private_key()?,
            // Another key, or a file of keys.
            FieldFormat::Document => return Ok(None),
            FieldFormat::Text if field.secret => long(&field.name),
            _ => {
                self.known.add(&field.name, field.format);
                return Ok(self.get(&field.name).filter(|value| field.check(value).is_ok()));
            }
        };
        self.take(field, &made);
        Ok(Some(made).filter(|value| field.check(value).is_ok()))
    }

    fn take(&mut self, field: &Field, value: &str) {
        self.known.put(&field.name, value);
        if field.secret {
            self.known.shown.add(value, &field.name);
        }
    }

    /// A value that the provider hands out: one of those that the file allows.
    fn of_capture(&mut self, capture: &Capture) {
        let Some(allowed) = capture.allowed.first() else {
            self.known.add(&capture.name, capture.format);
            return;
        };
        let host = allowed.strip_prefix('*').map(|domain| format!("played{domain}"));
        let value = match (host, capture.format) {
            (Some(host), FieldFormat::Origin) => format!("https://{host}"),
            (Some(host), _) => host,
            (None, _) => allowed.clone(),
        };
        self.known.put(&capture.name, &value);
    }

    fn of_client(&mut self, toolkit: &Toolkit, scheme: Scheme, given: &BTreeMap<String, String>) -> Result<()> {
        let text = |name: &str| given.get(name).cloned();
        let id = text("client_id").unwrap_or_else(|| CLIENT_ID.to_owned());
        match scheme {
            Scheme::OAuth2 | Scheme::DcrOAuth => {
                let secret = text("client_secret").unwrap_or_else(|| long("client"));
                self.known.put("client_secret", &secret);
                self.known.shown.add(&secret, "client_secret");
                if scheme == Scheme::DcrOAuth {
                    return Ok(());
                }
                let oauth = toolkit.oauth2.as_ref();
                let proves_by_key =
                    oauth.is_some_and(|oauth| oauth.client_authentication == ClientAuthentication::PrivateKeyJwt);
                self.client = BTreeMap::from([("client_id".to_owned(), id), ("client_secret".to_owned(), secret)]);
                for name in ["private_key", "key_id", "certificate"] {
                    if let Some(value) = text(name) {
                        self.client.insert(name.to_owned(), value);
                    }
                }
                if proves_by_key && !given.contains_key("private_key") {
                    if oauth.is_some_and(|oauth| oauth.client_assertion.algorithm == SigningAlgorithm::ES256) {
                        self.client.insert("private_key".to_owned(), ec_private_key()?);
                        return Ok(());
                    }
                    bail!(
                        "the client authenticates with a key that nobody can make up; give one of your own with \
                         --set private_key=@key.pem"
                    );
                }
            }
            Scheme::OAuth1 => {
                let is_rsa = toolkit.oauth1.as_ref().map(|it| it.signature_method) == Some(SignatureMethod::RsaSha256);
                let secret = text("consumer_secret").or_else(|| (!is_rsa).then(|| long("consumer")));
                let secret = secret.context("requests are signed with a key: --set consumer_secret=@key.pem")?;
                self.known.shown.add(&secret, "consumer_secret");
                self.client = BTreeMap::from([("consumer_key".to_owned(), id), ("consumer_secret".to_owned(), secret)]);
            }
            _ => {}
        }
        Ok(())
    }

    /// Variables of the installation: where its sandbox is.
    fn of_installation(&mut self) {
        self.known.add("sandbox_url", FieldFormat::Origin);
        if let Some(host) = self.get("sandbox_url").as_deref().and_then(|url| url.strip_prefix("https://")) {
            self.known.put("sandbox_host", host);
        }
    }
}

/// Enough for every algorithm, and nowhere part of another text.
fn long(of: &str) -> String {
    format!("zq-{of}-secret-{}", "0123456789abcdef".repeat(2))
}

/// Fields that hold an ECDSA key, which can be generated.
fn ec_keys(toolkit: &Toolkit, scheme: Scheme) -> Vec<String> {
    let steps = toolkit.token_scheme(scheme).into_iter().flat_map(|tokens| &tokens.steps);
    let own = toolkit.token_scheme(scheme).and_then(|tokens| tokens.assertion.as_ref());
    let assertions = steps.filter_map(|step| step.assertion.as_ref()).chain(own);
    let keys = assertions.filter(|assertion| assertion.algorithm == SigningAlgorithm::ES256);
    keys.filter_map(|assertion| template::variables(&assertion.key).ok()).flatten().collect()
}

/// A new key on P-256, as a PEM document (RFC 5958).
fn ec_private_key() -> Result<String> {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let made = made.map_err(|_| anyhow!("no key could be made"))?;
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(made)))
}

fn is_known(name: &str, asked: &[Field]) -> bool {
    OF_CLIENTS.contains(&name) || asked.iter().any(|field| field.name == name)
}

fn how_to_set(missing: &[Field]) -> String {
    let one = |field: &Field| match field.format {
        FieldFormat::Document => format!("--set {}=@FILE ({})", field.name, field.display_name),
        _ => format!("--set {}=VALUE ({})", field.name, field.display_name),
    };
    missing.iter().map(one).collect::<Vec<_>>().join(", ")
}
