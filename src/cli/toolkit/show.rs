//! `switchboard toolkit show`: describes a toolkit, or one of its tools.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use switchboard_catalog::{
    Call, Expiry, Field, FieldFormat, Identity, OAuth1, OAuth2, Pkce, Refresh, RefreshToken, Scheme, TokenScheme,
    Toolkit,
};
use switchboard_tools::example_arguments;

use super::requests::{self, PlannedRequest};
use super::source::Source;
use super::tool;
use super::tool_request;
use super::words::{duration, today};
use crate::app::provider::redirect_uris;
use crate::cli::output;
use crate::cli::tool_arguments::ToolArguments;
use crate::config;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    source: Source,
    /// Also print the HTTP requests of each scheme; with `--tool`, those of the tool alone.
    #[arg(long)]
    requests: bool,
    /// Show this tool.
    #[arg(long, value_name = "SLUG")]
    tool: Option<String>,
    #[command(flatten)]
    arguments: ToolArguments,
    /// Origin of the server, for the redirect URIs to register [default: the configuration file's]
    #[arg(long, env = "SWITCHBOARD_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Configuration file [default: switchboard.toml, if it exists].
    #[arg(long, env = "SWITCHBOARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the toolkit as the server reads it, with defaults filled in, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ShowArgs) -> Result<()> {
    let toolkit = args.source.load()?;
    if let Some(slug) = &args.tool {
        return run_tool(args, &toolkit, slug);
    }
    let plans = || toolkit.schemes().into_iter().flat_map(|scheme| requests::of(&toolkit, scheme));
    if args.json {
        let shown = if args.requests {
            json!({ "toolkit": &*toolkit, "requests": plans().collect::<Vec<_>>() })
        } else {
            serde_json::to_value(&*toolkit)?
        };
        return output::line(serde_json::to_string_pretty(&shown)?);
    }
    output::print(text(&toolkit, args.requests, &public_url(args)?))
}

/// Shows a tool. The arguments of its requests are made up if there are none.
fn run_tool(args: &ShowArgs, toolkit: &Toolkit, slug: &str) -> Result<()> {
    let tool = tool::find(toolkit, slug)?;
    let given = args.arguments.read()?;
    let is_example = given.is_none();
    let plans = if args.requests {
        let arguments = given.unwrap_or_else(|| example_arguments(tool, false));
        tool_request::of_tool(toolkit, tool, &arguments)?
    } else {
        Vec::new()
    };
    if args.json {
        let mut shown = tool::json(toolkit, tool)?;
        if args.requests {
            shown["requests"] = serde_json::to_value(plans)?;
        }
        return output::line(serde_json::to_string_pretty(&shown)?);
    }
    let mut page = Page(if args.requests { String::new() } else { tool::text(tool) });
    for planned in &plans {
        page.planned(planned);
    }
    if args.requests && is_example {
        let _ = writeln!(page.0, "\nThe arguments are examples; give others with --args.");
    }
    output::print(page.0)
}

/// The origin of redirect URIs; a placeholder if it is not configured.
fn public_url(args: &ShowArgs) -> Result<String> {
    let given = match &args.public_url {
        Some(given) => Some(given.clone()),
        None => config::load_file(args.config.as_deref())?.public_url,
    };
    let given = given.map(|url| url.trim().trim_end_matches('/').to_owned());
    Ok(given.filter(|url| !url.is_empty()).unwrap_or_else(|| "{public_url}".to_owned()))
}

fn text(toolkit: &Toolkit, with_requests: bool, public_url: &str) -> String {
    let mut page = Page::default();
    let _ = writeln!(page.0, "{} ({}), version {}", toolkit.name, toolkit.slug, toolkit.version);
    let _ = writeln!(page.0, "{}\n", toolkit.description);
    page.line("Categories", &toolkit.categories.join(", "));
    page.line("API", &toolkit.base_url);
    page.line("Hosts", &format!("{} (credentials go nowhere else)", toolkit.hosts.join(", ")));
    page.maybe("Guide", toolkit.auth_guide_url.as_deref());
    page.maybe("Home", toolkit.app_url.as_deref());
    for (name, value) in &toolkit.headers {
        page.line("Header", &format!("{name}: {value}"));
    }
    for scheme in toolkit.schemes() {
        page.scheme(toolkit, scheme);
        page.redirect_uri(toolkit, scheme, public_url);
        if with_requests {
            for planned in &requests::of(toolkit, scheme) {
                page.planned(planned);
            }
        }
    }
    page.account(toolkit);
    page.list(
        "Tools",
        toolkit.tools().iter().map(|tool| format!("{} ({}): {}", tool.slug, tool::effect(tool), tool.title)),
    );
    page.list(
        "Sunset",
        toolkit.sunset.iter().map(|sunset| {
            let when = if sunset.date < today() { "past" } else { "to come" };
            format!("{} ({when}): {} ({})", sunset.date, sunset.message, sunset.source)
        }),
    );
    page.list("Unverified", toolkit.unverified.iter().cloned());
    page.list("Sources", toolkit.sources.iter().cloned());
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            let _ = writeln!(self.0, "  {label:<14}{value}");
        }
    }

    fn maybe(&mut self, label: &str, value: Option<&str>) {
        self.line(label, value.unwrap_or_default());
    }

    fn indented(&mut self, line: &str) {
        let _ = writeln!(self.0, "{}", format!("    {line}").trim_end());
    }

    fn planned(&mut self, planned: &PlannedRequest) {
        let _ = writeln!(self.0, "\n  ── {} ──", planned.name);
        planned.http.lines().for_each(|line| self.indented(line));
        planned.note.iter().for_each(|note| self.indented(&format!("({note})")));
    }

    fn list(&mut self, title: &str, items: impl Iterator<Item = String>) {
        let items: Vec<String> = items.collect();
        if !items.is_empty() {
            let _ = writeln!(self.0, "\n{title}");
            for item in items {
                let _ = writeln!(self.0, "  - {item}");
            }
        }
    }

    fn scheme(&mut self, toolkit: &Toolkit, scheme: Scheme) {
        let _ = writeln!(self.0, "\n{scheme}");
        if let Some(oauth) = toolkit.oauth(scheme) {
            self.oauth2(oauth);
        } else if let (Scheme::OAuth1, Some(oauth)) = (scheme, &toolkit.oauth1) {
            self.oauth1(oauth);
        } else if let Some(tokens) = toolkit.token_scheme(scheme) {
            self.tokens(tokens);
        }
        for field in toolkit.connection_fields(scheme) {
            self.line("Asked", &field_line(&field));
        }
        for placement in toolkit.placements(scheme) {
            let places = [
                ("header", &placement.header),
                ("query", &placement.query),
                ("cookie", &placement.cookie),
                ("body", &placement.body),
            ];
            for (kind, name) in places.iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?))) {
                self.line("Sent", &format!("{kind} {name}: {}", placement.value));
            }
        }
        if toolkit.base_url(scheme) != toolkit.base_url {
            self.line("API", toolkit.base_url(scheme));
        }
    }

    /// What to register at the provider before there is an auth config.
    fn redirect_uri(&mut self, toolkit: &Toolkit, scheme: Scheme, public_url: &str) {
        let Some((uri, hint)) = redirect_uris::advice(public_url, toolkit, scheme) else { return };
        self.line("Redirect URI", uri.as_deref().unwrap_or("one for each auth config"));
        self.line("", &hint);
        if uri.is_some() && scheme == Scheme::OAuth2 {
            let managed = "For an operator's client, with one_redirect_uri = true in";
            self.line("", &format!("{managed} [managed.{}].", toolkit.slug));
        }
    }

    fn oauth2(&mut self, oauth: &OAuth2) {
        self.maybe("Discovery", oauth.discovery_url.as_deref());
        self.maybe("Resource", oauth.resource.as_deref());
        let endpoints = [
            ("Pushed to", oauth.pushed_authorization_request_url.as_deref()),
            ("Authorization", Some(oauth.authorization_url.as_str())),
            ("By a code", oauth.device_authorization_url.as_deref()),
            ("Token", Some(oauth.token_url.as_str())),
            ("Refresh", oauth.refresh_url.as_deref()),
            ("Registration", oauth.registration_url.as_deref()),
            ("Introspection", oauth.introspection_url.as_deref()),
        ];
        for (label, url) in endpoints {
            self.maybe(label, url);
        }
        let revocation = match (&oauth.revocation_url, &oauth.revoke) {
            (Some(url), _) => format!("{url} (RFC 7009)"),
            (None, Some(call)) => call_line(call),
            (None, None) => "none known".to_owned(),
        };
        self.line("Revocation", &revocation);
        self.maybe("Issuer", oauth.issuer.as_deref());
        let pkce = if oauth.pkce == Pkce::S256 { "with PKCE (S256)" } else { "without PKCE" };
        self.line(
            "Client",
            &format!("{}, {pkce}, {} requests", key(oauth.client_authentication), key(oauth.token_request_format)),
        );
        self.line("Scopes", &oauth.scopes.join(" "));
        self.line("Always", &oauth.always_scopes.join(" "));
        self.line("Optional", &oauth.optional_scopes.join(" "));
        self.line("Offered", &oauth.available_scopes.join(" "));
        self.line("Lifetime", &token_lifetime(oauth));
        self.line("Refreshing", &refreshing(oauth));
        self.line("Ends", &connection_expiry(oauth));
    }

    fn oauth1(&mut self, oauth: &OAuth1) {
        self.line("Temporary", &oauth.request_token_url);
        self.line("Authorization", &oauth.authorization_url);
        self.line("Token", &oauth.access_token_url);
        self.line("Signed by", oauth.signature_method.name());
        let life = oauth
            .expires_in
            .map_or("tokens do not expire".to_owned(), |seconds| format!("tokens expire after {}", duration(seconds)));
        self.line("Lifetime", &life);
    }

    fn tokens(&mut self, tokens: &TokenScheme) {
        for step in &tokens.steps {
            self.line("Token", &call_line(step));
        }
        let revocation = tokens.revoke.as_ref().map_or("none known".to_owned(), call_line);
        self.line("Revocation", &revocation);
        let default = tokens.expires_in.map(|seconds| format!("; {} if it does not say", duration(seconds)));
        self.line("Lifetime", &format!("as the response says{}", default.unwrap_or_default()));
        self.line("Refreshing", "by the same requests, without the user");
    }

    fn account(&mut self, toolkit: &Toolkit) {
        let schemes = toolkit.schemes();
        let mut identities: Vec<(Vec<Scheme>, &Identity)> = Vec::new();
        for scheme in schemes {
            let Some(identity) = toolkit.identity_of(scheme) else { continue };
            match identities.iter_mut().find(|(_, known)| std::ptr::eq(*known, identity)) {
                Some((of, _)) => of.push(scheme),
                None => identities.push((vec![scheme], identity)),
            }
        }
        if toolkit.post_connect.is_empty() && identities.is_empty() {
            return;
        }
        let _ = writeln!(self.0, "\nAfter connecting");
        for step in &toolkit.post_connect {
            let names: Vec<&str> = step.capture.iter().map(|capture| capture.name.as_str()).collect();
            self.line("Asks", &format!("{} {} for {}", step.request.method, step.request.url, names.join(", ")));
            self.maybe("Choice", step.choose.as_ref().map(|choice| choice.title.as_str()));
        }
        let is_one = identities.len() == 1;
        for (of, identity) in identities {
            let request = identity.request.as_ref();
            let from = request
                .map_or("the token response".to_owned(), |request| format!("{} {}", request.method, request.url));
            let names: Vec<&str> = of.into_iter().map(Scheme::as_str).collect();
            let of = if is_one { String::new() } else { format!(" ({})", names.join(", ")) };
            self.line("Identity", &format!("{} of {from}{of}", identity.id));
        }
    }
}

/// The name of a value in toolkit files.
fn key(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn call_line(call: &Call) -> String {
    format!("{} {}", call.method, call.url)
}

fn field_line(field: &Field) -> String {
    let format = match field.format {
        FieldFormat::Text => None,
        other => Some(key(other)),
    };
    let words = [
        Some(if field.secret { "secret" } else { "plain" }.to_owned()),
        (!field.required).then(|| "may be empty".to_owned()),
        format,
        field.example.as_ref().map(|example| format!("such as {example}")),
        field.default.as_ref().map(|default| format!("else {default}")),
        field.visible_when.as_ref().map(|when| format!("only while {} is {}", when.field, when.is)),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    format!("{} ({}): {}", field.name, field.display_name, words.join(", "))
}

fn token_lifetime(oauth: &OAuth2) -> String {
    let assumed = oauth.expires_in.map(duration);
    let known = match oauth.expiry {
        Expiry::Never => return "access tokens do not expire".to_owned(),
        Expiry::Fixed => return format!("access tokens expire after {}", assumed.unwrap_or_default()),
        Expiry::Stated => "as the response says",
        Expiry::Jwt => "as the token itself says (exp)",
        Expiry::Introspection => "as introspection says",
    };
    let default = match assumed {
        Some(time) => format!("{time} if it does not say"),
        None => "never if it does not say".to_owned(),
    };
    let max = oauth.max_expires_in.map(|seconds| format!(", {} at most", duration(seconds)));
    format!("access tokens expire {known}; {default}{}", max.unwrap_or_default())
}

fn refreshing(oauth: &OAuth2) -> String {
    let mut text = match oauth.refresh {
        Refresh::None => return "never: the user connects again when the token has expired".to_owned(),
        Refresh::Rotating => "each refresh token works once (rotating)".to_owned(),
        Refresh::Stable => "the refresh token stays the same (stable)".to_owned(),
    };
    if oauth.refresh_grace > 0 {
        let _ = write!(text, "; a used one works {} longer", duration(oauth.refresh_grace));
    }
    if let Some(margin) = oauth.refresh_margin {
        let _ = write!(text, "; {} before expiry", duration(margin));
    }
    let _ = match oauth.refresh_token {
        RefreshToken::Optional => Ok(()),
        RefreshToken::Required => write!(text, "; connecting fails without a refresh token"),
        RefreshToken::FirstConsent => write!(text, "; issued at the first consent only"),
    };
    text
}

fn connection_expiry(oauth: &OAuth2) -> String {
    let hard =
        oauth.refresh_token_lifetime.map(|seconds| format!("{} after connecting in any case", duration(seconds)));
    let idle = oauth.refresh_token_idle.map(|seconds| format!("{} without a refresh", duration(seconds)));
    hard.into_iter().chain(idle).collect::<Vec<_>>().join("; ")
}
