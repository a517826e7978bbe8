//! Changes of a project's settings. Each field is absent (unchanged), null (reset to the default) or a new
//! value, which is validated here.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use switchboard_store::{Refusal, Unit, WriteError, projects};
use switchboard_types::{AuditAction, AuditOutcome};

use super::{LogVisibility, ProjectSettings, callback_url};
use crate::app::Actor;
use crate::app::base::change::Change;
use crate::app::project::Projects;
use crate::error::{Error, Result};

/// Maximum number of registered callback URLs per project.
const MAX_CALLBACK_URLS: usize = 100;
/// Maximum length of a display name, in characters.
const MAX_DISPLAY_NAME: usize = 100;
/// One week, the maximum lifetime of a signed URL.
const MAX_EXPIRY: u32 = 604_800;
/// Maximum size of a theme, in bytes.
const MAX_THEME: usize = 8 * 1_024;
/// How often a change is retried when the same project is changed concurrently.
const MAX_ATTEMPTS: usize = 5;

/// A change of a project's settings. A field that is left out stays; null sets it back.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfigChange {
    /// Registered callback URLs, all of them. With an empty list any safe URL is taken.
    callback_urls: Change<Vec<String>>,
    /// Show only the first four characters of secrets in account answers.
    mask_secret_keys_in_connected_account: Change<bool>,
    /// Shown on connect pages instead of the project's name; empty sets it back.
    display_name: Change<String>,
    /// Where a browser goes before a connection counts: https, or http on loopback; empty clears it.
    oauth_callback_verifier_url: Change<String>,
    /// Kept; no effect on this server.
    #[serde(rename = "is_2FA_enabled")]
    is_2fa_enabled: Change<bool>,
    /// Whether the log of calls keeps arguments and answers: only with `show_all`.
    log_visibility_setting: Change<LogVisibility>,
    /// Kept; no effect on this server.
    require_mcp_api_key: Change<bool>,
    /// Kept; no effect on this server. Empty clears it.
    logo_url: Change<String>,
    /// Kept; no effect on this server.
    signed_url_file_expiry_in_seconds: Change<Number>,
    /// Kept; no effect on this server.
    is_composio_link_enabled_for_managed_auth: Change<bool>,
    /// Kept; no effect on this server.
    theme: Change<Map<String, Value>>,
    /// Kept; no effect on this server.
    enable_instant: Change<bool>,
    /// Kept; no effect on this server.
    zdr_enabled: Change<bool>,
}

impl ConfigChange {
    /// Applies the change to the settings. The error names every invalid field, with its path under `path`.
    pub fn apply(&self, settings: &mut ProjectSettings, path: &str) -> Result<()> {
        let mut errors = FieldErrors { path, lines: Vec::new() };
        if let Some(urls) = self.callback_urls.given() {
            settings.callback_urls =
                errors.check("callback_urls", checked_callbacks(urls.cloned().unwrap_or_default()));
        }
        if let Some(mask) = self.mask_secret_keys_in_connected_account.given() {
            settings.mask_secret_keys_in_connected_account = mask.copied().unwrap_or(true);
        }
        if let Some(name) = self.display_name.given() {
            settings.display_name = errors.check("display_name", checked_name(name));
        }
        if let Some(url) = self.oauth_callback_verifier_url.given() {
            settings.oauth_callback_verifier_url = errors.check("oauth_callback_verifier_url", checked_url(url));
        }
        if let Some(url) = self.logo_url.given() {
            settings.logo_url = errors.check("logo_url", checked_url(url));
        }
        if let Some(seconds) = self.signed_url_file_expiry_in_seconds.given() {
            settings.signed_url_file_expiry_in_seconds =
                errors.check("signed_url_file_expiry_in_seconds", seconds.map(checked_expiry).transpose());
        }
        if let Some(theme) = self.theme.given() {
            settings.theme = errors.check("theme", theme.map(checked_theme).transpose());
        }
        self.is_2fa_enabled.apply(&mut settings.is_2fa_enabled);
        self.log_visibility_setting.apply(&mut settings.log_visibility_setting);
        self.require_mcp_api_key.apply(&mut settings.require_mcp_api_key);
        self.is_composio_link_enabled_for_managed_auth.apply(&mut settings.is_composio_link_enabled_for_managed_auth);
        self.enable_instant.apply(&mut settings.enable_instant);
        self.zdr_enabled.apply(&mut settings.zdr_enabled);
        if errors.lines.is_empty() { Ok(()) } else { Err(Error::validation(errors.lines)) }
    }
}

/// Collects all errors, so that the developer can fix them in one go.
struct FieldErrors<'a> {
    path: &'a str,
    lines: Vec<String>,
}

impl FieldErrors<'_> {
    fn check<T: Default>(&mut self, field: &str, checked: std::result::Result<T, String>) -> T {
        checked.unwrap_or_else(|reason| {
            self.lines.push(format!("Error in {}.{field}: {reason}", self.path));
            T::default()
        })
    }
}

fn checked_callbacks(urls: Vec<String>) -> std::result::Result<Vec<String>, String> {
    if urls.len() > MAX_CALLBACK_URLS {
        return Err(format!("must have at most {MAX_CALLBACK_URLS} entries"));
    }
    for (index, url) in urls.iter().enumerate() {
        callback_url::check(url).map_err(|reason| format!("entry {index} {reason}"))?;
    }
    Ok(urls)
}

fn checked_name(name: Option<&String>) -> std::result::Result<Option<String>, String> {
    let Some(name) = name.map(|name| name.trim()).filter(|name| !name.is_empty()) else { return Ok(None) };
    if name.chars().count() > MAX_DISPLAY_NAME || name.chars().any(char::is_control) {
        return Err(format!("must have at most {MAX_DISPLAY_NAME} characters and no control characters"));
    }
    Ok(Some(name.to_owned()))
}

fn checked_url(url: Option<&String>) -> std::result::Result<Option<String>, String> {
    let Some(url) = url.filter(|url| !url.is_empty()) else { return Ok(None) };
    callback_url::check(url)?;
    Ok(Some(url.clone()))
}

fn checked_expiry(seconds: &Number) -> std::result::Result<u32, String> {
    // The schema allows numbers with a fraction; 3600.0 means 3600.
    let text = seconds.to_string();
    let seconds = text.strip_suffix(".0").unwrap_or(&text).parse().ok();
    seconds
        .filter(|seconds| (1..=MAX_EXPIRY).contains(seconds))
        .ok_or_else(|| format!("must be a whole number from 1 to {MAX_EXPIRY}"))
}

fn checked_theme(theme: &Map<String, Value>) -> std::result::Result<BTreeMap<String, Value>, String> {
    let size = serde_json::to_string(theme).map_or(usize::MAX, |text| text.len());
    if size > MAX_THEME {
        return Err(format!("must have at most {MAX_THEME} bytes as JSON"));
    }
    Ok(theme.clone().into_iter().collect())
}

/// Names of the settings that differ, for the audit log.
fn changed(stored: &str, new: &ProjectSettings) -> Result<Vec<String>> {
    let object = |settings: &ProjectSettings| match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(Error::internal(error)),
    };
    let (old, new) = (object(&ProjectSettings::parse(stored)?)?, object(new)?);
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    Ok(names.into_iter().filter(|name| old.get(*name) != new.get(*name)).cloned().collect())
}

impl Projects {
    /// Changes the settings of the actor's project and returns all of them. Concurrent changes are applied one
    /// after the other.
    pub async fn configure(&self, actor: &Actor, change: &ConfigChange) -> Result<ProjectSettings> {
        for _ in 0..MAX_ATTEMPTS {
            let project = self.get(&actor.project_id).await?;
            let mut settings = ProjectSettings::parse(&project.settings)?;
            change.apply(&mut settings, "payload")?;
            let text = serde_json::to_string(&settings).map_err(Error::internal)?;
            let changed = json!({ "fields": changed(&project.settings, &settings)? });
            let unit = Unit::new()
                .with(projects::set_settings(&project.id, &project.settings, &text, self.core.now()))
                .with(self.core.audit(
                    actor,
                    AuditAction::ProjectConfigure,
                    &project.id,
                    AuditOutcome::Ok,
                    Some(changed.to_string()),
                ));
            match self.core.store.apply(unit).await {
                Ok(_) => return Ok(settings),
                Err(WriteError::Refused(Refusal::ProjectChanged)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::of(crate::error::Code::Conflict, &[("reason", &"The project is being changed by others")]))
    }
}
