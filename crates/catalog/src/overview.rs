//! The overview page of all toolkits: how each authenticates, token lifetimes, upcoming changes and
//! unverified facts. `docs/toolkits.md` is a copy.

use std::fmt::Write as _;

use crate::model::{Expiry, OAuth2, Refresh, Toolkit};
use crate::{Catalog, Scheme};

/// All toolkits of a catalog, as Markdown.
pub fn overview(catalog: &Catalog) -> String {
    let mut page = String::from(
        "# Toolkits\n\nMade from the files in [toolkits/](../toolkits); how to write one is in \
         [toolkit-format.md](toolkit-format.md). **Identity**: an account says who it is at the provider. \
         **Revokes**: deleting an account ends its token there. **Tokens**: how they are renewed, and when a user \
         must still connect again.\n\n\
         | Toolkit | Slug | Schemes | Tokens | Identity | Revokes | Unverified |\n|---|---|---|---|---|---|---|\n",
    );
    for toolkit in catalog.iter() {
        let schemes: Vec<&str> = toolkit.schemes().into_iter().map(Scheme::as_str).collect();
        let _ = writeln!(
            page,
            "| [{}](../toolkits/{slug}/toolkit.toml) | `{slug}` | {} | {} | {} | {} | {} |",
            toolkit.name,
            schemes.join(", "),
            tokens(toolkit),
            if toolkit.schemes().into_iter().any(|scheme| toolkit.identity_of(scheme).is_some()) {
                "yes"
            } else {
                "no"
            },
            revokes(toolkit),
            match toolkit.unverified.len() {
                0 => String::new(),
                count => format!("[{count}](#{slug})", slug = toolkit.slug),
            },
            slug = toolkit.slug,
        );
    }
    sunsets(&mut page, catalog);
    unverified(&mut page, catalog);
    page
}

fn tokens(toolkit: &Toolkit) -> String {
    let Some(oauth) = &toolkit.oauth2 else { return String::new() };
    let mut words = vec![renewal(oauth).to_owned()];
    if let Some(seconds) = oauth.refresh_token_lifetime {
        words.push(format!("again after {}", duration(seconds)));
    }
    if let Some(seconds) = oauth.refresh_token_idle {
        words.push(format!("unused for {} at most", duration(seconds)));
    }
    words.join("; ")
}

fn renewal(oauth: &OAuth2) -> &'static str {
    match (oauth.expiry, oauth.refresh) {
        (Expiry::Never, _) => "do not end",
        (_, Refresh::Rotating) => "renewed, rotating",
        (_, Refresh::Stable) => "renewed",
        (_, Refresh::None) => "not renewed",
    }
}

fn revokes(toolkit: &Toolkit) -> &'static str {
    match &toolkit.oauth2 {
        Some(oauth) if oauth.revocation_url.is_some() || oauth.revoke.is_some() => "yes",
        Some(oauth) if oauth.discovery_url.is_some() => "where discovered",
        Some(_) => "no",
        None => "",
    }
}

/// In the largest unit that divides it.
fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (size, unit) = UNITS.into_iter().find(|(size, _)| seconds.is_multiple_of(*size)).unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn sunsets(page: &mut String, catalog: &Catalog) {
    let mut all: Vec<_> = catalog
        .iter()
        .flat_map(|toolkit| toolkit.sunset.iter().map(move |sunset| (&sunset.date, toolkit, sunset)))
        .collect();
    all.sort_by_key(|(date, toolkit, _)| (*date, &toolkit.slug));
    page.push_str("\n## Dates\n\nWhat providers have announced.\n\n| Date | Toolkit | What happens |\n|---|---|---|\n");
    for (date, toolkit, sunset) in all {
        let _ = writeln!(page, "| {date} | {} | {} ([source]({})) |", toolkit.name, sunset.message, sunset.source);
    }
}

fn unverified(page: &mut String, catalog: &Catalog) {
    page.push_str("\n## Unverified\n\nWhat could not be checked against a public page of the vendor.\n");
    for toolkit in catalog.iter().filter(|toolkit| !toolkit.unverified.is_empty()) {
        let _ = write!(page, "\n### {}\n\n", toolkit.slug);
        for fact in &toolkit.unverified {
            let _ = writeln!(page, "- {fact}");
        }
    }
}
