//! Settings of files: their limits, the origin of their URLs, and where their bytes are.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use switchboard_egress::is_public;
use switchboard_vault::Secret;
use url::{Host, Url};

use super::invalid::invalid;
use super::layer::S3Layer;
use super::text;
use crate::app::base::settings::FileSettings;
use crate::app::object_store::{S3Settings, StoreSettings};

/// What a layer says about files.
pub(super) struct GivenFileSettings {
    pub(super) public_url: Option<String>,
    pub(super) max_mib: Option<u32>,
    pub(super) per_project_mib: Option<u32>,
    pub(super) url_seconds: Option<u32>,
}

/// Validates the settings of files. `public_url` is the server's own origin.
pub(super) fn check(given: GivenFileSettings, public_url: &str) -> Result<FileSettings> {
    let max_mib = given.max_mib.unwrap_or(100);
    if !(1..=5_120).contains(&max_mib) {
        return Err(invalid("files_max_mib", &max_mib.to_string(), "1 to 5120"));
    }
    let url_seconds = given.url_seconds.unwrap_or(3_600);
    if !(60..=604_800).contains(&url_seconds) {
        return Err(invalid("files_url_seconds", &url_seconds.to_string(), "60 to 604800"));
    }
    let public_url = match given.public_url.filter(|text| !text.is_empty()) {
        Some(given) => text::origin("files_public_url", &given)?,
        None => public_url.to_owned(),
    };
    Ok(FileSettings {
        is_reachable_by_sdks: is_reachable(&public_url),
        public_url,
        max_size: u64::from(max_mib) << 20,
        quota: match given.per_project_mib.unwrap_or(10_240) {
            0 => i64::MAX,
            mib => i64::from(mib) << 20,
        },
        url_lifetime: Duration::from_secs(url_seconds.into()),
    })
}

/// Whether SDKs fetch from an origin, as far as its text says: a name may still lead to a private address.
fn is_reachable(origin: &str) -> bool {
    let host = Url::parse(origin).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(Host::Domain(name)) => name.contains('.') && !name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_public(IpAddr::V6(address)),
        None => false,
    }
}

/// Where the bytes of files are.
pub(super) fn store(s3: Option<S3Layer>, folder: Option<PathBuf>, data_dir: &Path) -> Result<StoreSettings> {
    let Some(layer) = s3 else {
        return Ok(StoreSettings::Folder(folder.unwrap_or_else(|| data_dir.join("files"))));
    };
    let takes = "an origin such as https://s3.eu-central-1.example.com, without a path";
    let endpoint = Url::parse(&layer.endpoint).map_err(|_| invalid("s3.endpoint", &layer.endpoint, takes))?;
    let is_origin = endpoint.path() == "/" && endpoint.query().is_none() && endpoint.fragment().is_none();
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        // It is not shown: a password is a secret.
        bail!("setting s3.endpoint: takes {takes}, and without a user or password");
    }
    if !is_origin || !["https", "http"].contains(&endpoint.scheme()) {
        return Err(invalid("s3.endpoint", &layer.endpoint, takes));
    }
    let is_name = |text: &str| {
        !["", ".", ".."].contains(&text)
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if !is_name(&layer.bucket) {
        return Err(invalid("s3.bucket", &layer.bucket, "the name of a bucket"));
    }
    let prefix = layer.prefix.trim_matches('/');
    if !prefix.is_empty() && !prefix.split('/').all(is_name) {
        return Err(invalid(
            "s3.prefix",
            prefix,
            "names of letters, digits, `-`, `_` and `.` with slashes between them, and no `.` or `..` alone",
        ));
    }
    let secret_access_key = match (layer.secret_access_key, layer.secret_access_key_file) {
        (Some(secret), None) => secret,
        (None, Some(path)) => {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("setting s3.secret_access_key_file: cannot read {}", path.display()))?;
            Secret::from(text.trim())
        }
        _ => bail!("setting s3: takes one of secret_access_key and secret_access_key_file"),
    };
    Ok(StoreSettings::S3(S3Settings {
        endpoint,
        region: layer.region,
        bucket: layer.bucket,
        prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
        access_key_id: layer.access_key_id,
        secret_access_key,
        path_style: layer.path_style,
        allow_private_endpoint: layer.allow_private_endpoint,
    }))
}
