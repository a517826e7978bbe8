//! The rules of the scopes of a tool.

use std::collections::BTreeSet;

use super::check::Check;
use crate::model::{ExtraToken, Tool};
use crate::path::Path;

impl Check<'_> {
    pub(super) fn scopes(&mut self, path: &Path, tool: &Tool) {
        let at = path.key("scopes");
        let last = tool.scopes.len().saturating_sub(1);
        for (index, scopes) in tool.scopes.iter().enumerate() {
            self.require(are_scopes(scopes), &at.index(index), "must be a list of scopes without blanks");
            let message =
                "an empty list says that the call works without scopes; it stands at the end, after another one";
            self.require(!scopes.is_empty() || index == last && index > 0, &at.index(index), message);
            let is_new = !tool.scopes[..index].iter().any(|other| is_same_set(other, scopes));
            self.require(is_new, &at.index(index), "is listed twice");
        }
        let Some(name) = &tool.token else { return };
        let at = path.key("token");
        let oauth = [&self.toolkit.oauth2, &self.toolkit.dcr_oauth, &self.toolkit.cimd_oauth];
        let mut schemes = oauth.into_iter().flatten();
        let sent = schemes.any(|oauth| {
            let base = oauth.base_url.as_ref().unwrap_or(&self.toolkit.base_url);
            let token = oauth.tokens.iter().find(|token| token.name == *name);
            oauth.user_scope_parameter.is_some() && token.is_some_and(|token| is_sent(token, base, &tool.path))
        });
        let message = "must be a token of `[[oauth2.tokens]]` that is sent with this path, by its `hosts` or `paths`, in a \
                       toolkit with a `user_scope_parameter`";
        self.require(sent, &at, message);
        self.require(!tool.scopes.is_empty(), &at, "needs `scopes`, which are those of this token");
    }
}

/// Whether texts are scopes.
pub(crate) fn are_scopes(scopes: &[String]) -> bool {
    scopes.iter().all(|scope| !scope.is_empty() && !scope.contains(' '))
}

fn is_same_set(one: &[String], other: &[String]) -> bool {
    let set = |scopes: &[String]| scopes.iter().cloned().collect::<BTreeSet<_>>();
    set(one) == set(other)
}

/// Whether a further token is sent with an endpoint below a base URL.
fn is_sent(token: &ExtraToken, base: &str, endpoint: &str) -> bool {
    let url = if endpoint.starts_with('/') { format!("{base}{endpoint}") } else { endpoint.to_owned() };
    let Some((_, rest)) = url.split_once("://") else { return false };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    token.hosts.iter().any(|known| known == host) || token.paths.iter().any(|prefix| path.starts_with(prefix.as_str()))
}
