//! Lint warnings about valid files: mistakes that were found repeatedly in files that worked for their
//! authors.

use std::collections::BTreeSet;

use switchboard_catalog::{FieldFormat, OAuth2, Scheme, Toolkit};

/// Scopes that only identify the user.
const IDENTIFYING: [&str; 9] = [
    "openid",
    "profile",
    "email",
    "phone",
    "address",
    "offline_access",
    "offline",
    "userinfo.email",
    "userinfo.profile",
];

/// All warnings about a toolkit. `others` are toolkits that may share its authorization server.
pub(super) fn of(toolkit: &Toolkit, others: &[&Toolkit]) -> Vec<String> {
    let mut warnings = Vec::new();
    for scheme in [Scheme::OAuth2, Scheme::DcrOAuth, Scheme::CimdOAuth] {
        if let Some(oauth) = toolkit.oauth(scheme) {
            warnings.extend(scopes_without_host(toolkit, oauth, others));
            warnings.extend(identifying_scopes_only(scheme, oauth));
        }
    }
    warnings.extend(separate_choices(toolkit));
    warnings
}

/// A scope of another product of the same authorization server, whose host is not in the file: the
/// account is granted it, but its calls are rejected here.
fn scopes_without_host(toolkit: &Toolkit, oauth: &OAuth2, others: &[&Toolkit]) -> Vec<String> {
    let own: BTreeSet<&str> = oauth.scopes.iter().filter_map(|scope| product(scope)).collect();
    let offered = || oauth.scopes.iter().chain(&oauth.available_scopes);
    let mut warnings = Vec::new();
    for other in others.iter().filter(|other| other.slug != toolkit.slug) {
        let Some(its) = other.oauth2.as_ref().filter(|its| its.token_url == oauth.token_url) else { continue };
        let Some(host) = host(other.base_url(Scheme::OAuth2)) else { continue };
        if toolkit.hosts.iter().any(|known| known == host) {
            continue;
        }
        let products: BTreeSet<&str> = its.scopes.iter().filter_map(|scope| product(scope)).collect();
        let foreign = |scope: &&String| {
            product(scope).is_some_and(|product| products.contains(product) && !own.contains(product))
        };
        if let Some(scope) = offered().find(foreign) {
            warnings.push(format!(
                "scope {scope} is one of {}, whose host {host} is not in `hosts`: calls with it are rejected",
                other.slug
            ));
        }
    }
    warnings
}

/// The product in a scope that is a URL: `drive` of `https://…/auth/drive.file`.
fn product(scope: &str) -> Option<&str> {
    let (_, rest) = scope.split_once("://")?;
    let name = rest.trim_end_matches('/').rsplit('/').next()?.split('.').next()?;
    let identifies = IDENTIFYING.iter().any(|known| known.split('.').next() == Some(name));
    (!name.is_empty() && !identifies).then_some(name)
}

/// The host of a template without variables in it.
fn host(base_url: &str) -> Option<&str> {
    let host = base_url.split_once("://")?.1.split('/').next()?;
    (!host.contains('{')).then_some(host)
}

/// Default scopes that only identify the user.
fn identifying_scopes_only(scheme: Scheme, oauth: &OAuth2) -> Option<String> {
    let identifies = |scope: &String| {
        let name = scope.rsplit('/').next().unwrap_or(scope);
        IDENTIFYING.contains(&name)
    };
    let mut asked = oauth.scopes.iter().chain(&oauth.always_scopes).peekable();
    let nothing_more = asked.peek().is_some() && asked.all(identifies);
    let table = scheme.table();
    nothing_more
        .then(|| format!("the default scopes in [{table}] only identify the user: add a comment if that is intended"))
}

/// Two choices that must agree.
fn separate_choices(toolkit: &Toolkit) -> Vec<String> {
    let mut warnings = BTreeSet::new();
    for scheme in toolkit.schemes() {
        let fields = toolkit.scheme_fields(scheme);
        let decides = |format| matches!(format, FieldFormat::Hostname | FieldFormat::Origin | FieldFormat::DnsLabel);
        let mut choices = fields.iter().filter(|field| field.options.len() > 1 && decides(field.format));
        if let (Some(one), Some(other)) = (choices.next(), choices.next()) {
            warnings.insert(format!(
                "`{}` and `{}` are separate fields: if they must agree, let the options of one set the other (`sets`)",
                one.name, other.name
            ));
        }
    }
    warnings.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use switchboard_catalog::Catalog;

    use super::*;

    fn catalog(files: &[(&str, &str)]) -> Catalog {
        let mut catalog = Catalog::default();
        for (slug, tables) in files {
            let text = format!(
                "slug = \"{slug}\"\nname = \"T\"\ndescription = \"A provider\"\ncategories = [\"testing\"]\n\
                 color = \"#112233\"\nversion = \"20260101_00\"\n{tables}"
            );
            catalog.add(&format!("{slug}/toolkit.toml"), &text).unwrap();
        }
        catalog
    }

    fn warnings(catalog: &Catalog, slug: &str) -> Vec<String> {
        let all: Vec<_> = catalog.iter().map(AsRef::as_ref).collect();
        of(catalog.get(slug).unwrap(), &all)
    }

    const ENDPOINTS: &str =
        "authorization_url = \"https://a.example/authorize\"\ntoken_url = \"https://a.example/token\"\n";

    #[test]
    fn a_scope_of_another_product_needs_that_products_host() {
        let drive = format!(
            "base_url = \"https://drive.example/v3\"\nhosts = [\"drive.example\"]\n[oauth2]\n{ENDPOINTS}\
             scopes = [\"https://a.example/auth/drive.file\"]"
        );
        let docs = |hosts: &str| {
            format!(
                "base_url = \"https://docs.example/v1\"\nhosts = [\"docs.example\"{hosts}]\n[oauth2]\n{ENDPOINTS}\
                 scopes = [\"openid\", \"https://a.example/auth/documents\"]\n\
                 available_scopes = [\"https://a.example/auth/drive.readonly\"]"
            )
        };
        let all = catalog(&[("drive", &drive), ("docs", &docs(""))]);
        let expected = "scope https://a.example/auth/drive.readonly is one of drive, whose host drive.example is not in \
                        `hosts`: calls with it are rejected";
        assert_eq!(warnings(&all, "docs"), [expected]);
        assert!(warnings(&all, "drive").is_empty());
        let all = catalog(&[("drive", &drive), ("docs", &docs(", \"drive.example\""))]);
        assert!(warnings(&all, "docs").is_empty());
    }

    #[test]
    fn default_scopes_should_grant_access() {
        let file = |scopes: &str| {
            format!(
                "base_url = \"https://p.example\"\nhosts = [\"p.example\"]\n[oauth2]\n{ENDPOINTS}scopes = [{scopes}]"
            )
        };
        let all = catalog(&[
            ("one", &file("\"openid\", \"email\"")),
            ("two", &file("\"openid\", \"notes\"")),
            ("three", &file("")),
        ]);
        assert_eq!(
            warnings(&all, "one"),
            ["the default scopes in [oauth2] only identify the user: add a comment if that is intended"]
        );
        assert_eq!(warnings(&all, "two").len() + warnings(&all, "three").len(), 0);
    }

    #[test]
    fn a_region_is_entered_once() {
        let choice = |name: &str, more: &str| {
            format!(
                "[[fields]]\nname = \"{name}\"\ndisplay_name = \"Region\"\nformat = \"hostname\"\noptions = [\
                 {{ value = \"us.p.example\", label = \"US\"{more} }}, {{ value = \"eu.p.example\", label = \"EU\"{more} }}]\n"
            )
        };
        let key = "[api_key]\nfields = [{ name = \"generic_api_key\", display_name = \"Key\", secret = true }]\n\
                   apply = [{ header = \"X-Key\", value = \"{generic_api_key}\" }]\n";
        let head = "base_url = \"https://{api}\"\nhosts = [\"{api}\", \"{login}\"]\n";
        let twice = format!("{head}{}{}{key}", choice("api", ""), choice("login", ""));
        let once = format!("{head}{}{key}", choice("api", ", sets = { login = \"l.p.example\" }"));
        let all = catalog(&[("twice", &twice), ("once", &once)]);
        assert_eq!(warnings(&all, "twice").len(), 1);
        assert!(warnings(&all, "once").is_empty());
    }
}
