//! Which scopes a link asks for, if the developer did not choose them: the least that the tools need which the session
//! and the lists of the auth config allow.

use std::collections::BTreeSet;

use switchboard_catalog::{OAuth2, Scheme, Tool, Toolkit};
use switchboard_store::auth_configs::AuthConfigRow;

use super::policy::{CallKind, SessionConfig, ToolDescription, tags};
use crate::app::base::scopes::{Need, add_least};
use crate::app::base::settings::ManagedClient;
use crate::app::model::auth_config_settings::AuthConfigSettings;

/// The scopes of an authorization request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkScopes {
    /// Those of the first token.
    pub scopes: Vec<String>,
    /// User-level scopes, those of a further token.
    pub user_scopes: Vec<String>,
}

/// What the scopes of a link depend on.
#[derive(Clone, Copy, Debug)]
pub struct ScopeRules<'a> {
    /// The toolkit.
    toolkit: &'a Toolkit,
    /// The scheme of the auth config.
    scheme: Scheme,
    /// The settings of the auth config.
    settings: &'a AuthConfigSettings,
    /// The auth config uses the operator's client, or none.
    is_managed: bool,
    /// The scopes that the operator's client is registered for; none means any.
    registered: Option<&'a [String]>,
}

impl LinkScopes {
    /// Whether all scopes of another are among these.
    pub fn has(&self, other: &Self) -> bool {
        other.scopes.iter().all(|scope| self.scopes.contains(scope))
            && other.user_scopes.iter().all(|scope| self.user_scopes.contains(scope))
    }
}

impl<'a> ScopeRules<'a> {
    /// Those of links of an auth config. `client` is the operator's client of the toolkit, if there is one.
    pub fn new(
        toolkit: &'a Toolkit,
        config: &AuthConfigRow,
        settings: &'a AuthConfigSettings,
        client: Option<&'a ManagedClient>,
    ) -> Self {
        let registered = client.filter(|_| config.is_managed).and_then(|client| client.scopes.as_deref());
        Self { toolkit, scheme: config.scheme, settings, is_managed: config.is_managed, registered }
    }
}

impl ScopeRules<'_> {
    /// Whether the scopes depend on tools: the developer did not choose them, and a tool of the toolkit has any.
    pub fn depend_on_tools(&self) -> bool {
        !self.settings.names_scopes()
            && (self.is_managed || self.settings.limits_link_tools())
            && self.toolkit.oauth(self.scheme).is_some()
            && self.toolkit.tools().iter().any(|tool| !tool.scopes.is_empty())
    }

    /// The scopes that do not depend on tools: those of the auth config, or the toolkit's defaults.
    pub fn usual(&self) -> LinkScopes {
        let mut scopes = self.settings.scopes_to_request(self.toolkit, self.scheme);
        if self.registered.is_some() && !self.settings.names_scopes() {
            let base = self.base();
            scopes.retain(|scope| base.contains(&scope.as_str()) || self.is_registered(scope));
        }
        LinkScopes { scopes, user_scopes: self.settings.user_scopes.clone().unwrap_or_default() }
    }

    /// Scopes that every link asks for.
    pub fn always(&self) -> &[String] {
        self.toolkit.oauth(self.scheme).map(|oauth| oauth.always_scopes.as_slice()).unwrap_or_default()
    }

    /// Whether the client may ask for a scope.
    pub fn is_registered(&self, scope: &String) -> bool {
        self.registered.is_none_or(|registered| registered.contains(scope))
    }

    /// The least scopes for the tools that a policy and the lists of the auth config name. If they only take tools out,
    /// the usual ones without those that only these tools need: asking for what any other tool could need would ask for
    /// more than a session without rules does.
    pub fn least(&self, policy: Option<&SessionConfig>) -> LinkScopes {
        let Some(oauth) = self.toolkit.oauth(self.scheme) else { return LinkScopes::default() };
        let tools = self.toolkit.tools();
        let policy = policy.filter(|_| self.is_managed);
        let allowed = self.settings.allowed_tools();
        let is_admitted = |tool: &&Tool| {
            policy.is_none_or(|policy| admits(policy, tool, &self.toolkit.slug))
                && self.settings.link_tools().is_none_or(|list| has(list, &tool.slug))
                && allowed.as_ref().is_none_or(|allowed| allowed.admits(&tool.slug))
        };
        let admitted: Vec<&Tool> = tools.iter().map(|row| &row.tool).filter(is_admitted).collect();
        let is_named = policy.is_some_and(|policy| policy.names_tools(&self.toolkit.slug));
        let found = if admitted.len() == tools.len() && !self.settings.limits_link_tools() {
            self.usual()
        } else if is_named || self.settings.limits_link_tools() {
            LinkScopes { scopes: self.of_first_token(oauth, &admitted), user_scopes: self.of_further(&admitted) }
        } else {
            self.usual_without_excluded(&admitted)
        };
        // Providers refuse a request without scopes, or choose themselves.
        if found == LinkScopes::default() { self.usual() } else { found }
    }

    /// The usual scopes without those that only tools need which are not admitted. A scope stays if the identity request
    /// or an admitted tool cannot do without it that could use the usual ones.
    fn usual_without_excluded(&self, admitted: &[&Tool]) -> LinkScopes {
        let usual = self.usual();
        let is_admitted = |tool: &Tool| admitted.iter().any(|admitted| admitted.slug == tool.slug);
        let excluded = self.toolkit.tools().iter().filter(|row| row.token.is_none() && !is_admitted(&row.tool));
        let of_excluded: BTreeSet<&String> = excluded.flat_map(|tool| tool.scopes.iter().flatten()).collect();
        let depends = |scope: &&String| of_excluded.contains(scope) && !self.always().contains(scope);
        let is_usual = |scopes: &&Vec<String>| scopes.iter().all(|scope| usual.scopes.contains(scope));
        let of_admitted = admitted.iter().filter(|tool| tool.token.is_none()).map(|tool| tool.scopes.as_slice());
        // A tool that the usual scopes are not enough for asks for its own when it is called.
        let needs = std::iter::once(self.identity())
            .chain(of_admitted)
            .map(|alternatives| alternatives.iter().filter(is_usual).map(Vec::as_slice).collect::<Need<'_>>());
        let mut kept: BTreeSet<&str> =
            usual.scopes.iter().filter(|scope| !depends(scope)).map(String::as_str).collect();
        add_least(&mut kept, needs.collect());
        let scopes = usual.scopes.iter().filter(|scope| kept.contains(scope.as_str())).cloned().collect();
        LinkScopes { scopes, user_scopes: usual.user_scopes }
    }

    /// What the identity request needs.
    fn identity(&self) -> &[Vec<String>] {
        self.toolkit.identity_of(self.scheme).map(|identity| identity.scopes.as_slice()).unwrap_or_default()
    }

    /// Scopes that do not depend on tools: those of every link, and default scopes that neither a tool nor the identity
    /// request names.
    fn base(&self) -> Vec<&str> {
        let of_tools = self.toolkit.tools().iter().filter(|tool| tool.token.is_none()).flat_map(|tool| &tool.scopes);
        let named: BTreeSet<&String> = of_tools.chain(self.identity()).flatten().collect();
        let defaults = self.toolkit.oauth(self.scheme).map(|oauth| oauth.scopes.as_slice()).unwrap_or_default();
        let mut base: Vec<&str> = Vec::new();
        for scope in self.always().iter().chain(defaults.iter().filter(|scope| !named.contains(scope))) {
            if !base.contains(&scope.as_str()) {
                base.push(scope);
            }
        }
        base
    }

    /// Scopes of the first token: those that do not depend on tools, and what the identity request and the tools need.
    fn of_first_token(&self, oauth: &OAuth2, admitted: &[&Tool]) -> Vec<String> {
        let base = self.base();
        let offered = |scope: &String| {
            let known = [&oauth.available_scopes, &oauth.scopes, &oauth.always_scopes];
            oauth.available_scopes.is_empty() || known.into_iter().any(|list| list.contains(scope))
        };
        let mut needs: Vec<Need<'_>> = vec![self.usable(self.identity(), &offered)];
        needs.extend(
            admitted.iter().filter(|tool| tool.token.is_none()).map(|tool| self.usable(&tool.scopes, &offered)),
        );
        let mut asked: BTreeSet<&str> = base.iter().copied().collect();
        add_least(&mut asked, needs);
        let added = asked.into_iter().filter(|scope| !base.contains(scope)).collect::<Vec<_>>();
        base.into_iter().chain(added).map(str::to_owned).collect()
    }

    /// User-level scopes, for the tools that are called with a further token.
    fn of_further(&self, admitted: &[&Tool]) -> Vec<String> {
        let needs =
            admitted.iter().filter(|tool| tool.token.is_some()).map(|tool| self.usable(&tool.scopes, &|_| true));
        let mut asked = BTreeSet::new();
        add_least(&mut asked, needs.collect());
        asked.into_iter().map(str::to_owned).collect()
    }

    /// The alternatives that can be asked for; those that the toolkit does not offer only if there are no others. That a
    /// tool also works without scopes is no reason not to ask.
    fn usable<'t>(&self, alternatives: &'t [Vec<String>], offered: &dyn Fn(&String) -> bool) -> Need<'t> {
        let registered =
            |scopes: &&Vec<String>| !scopes.is_empty() && scopes.iter().all(|scope| self.is_registered(scope));
        let possible: Vec<&Vec<String>> = alternatives.iter().filter(registered).collect();
        let is_offered = |scopes: &&&Vec<String>| scopes.iter().all(offered);
        let best: Need<'_> = possible.iter().filter(is_offered).map(|scopes| scopes.as_slice()).collect();
        if best.is_empty() { possible.into_iter().map(Vec::as_slice).collect() } else { best }
    }
}

fn has(list: &[String], slug: &str) -> bool {
    list.iter().any(|item| item.eq_ignore_ascii_case(slug))
}

/// Whether a policy allows a tool.
fn admits(policy: &SessionConfig, tool: &Tool, toolkit: &str) -> bool {
    let tags = tags(tool);
    policy.check(CallKind::Tool(&ToolDescription { slug: &tool.slug, toolkit, tags: &tags })).is_ok()
}
