//! The table of findings: summary, cause and fix of each.
//!
//! `docs/connecting.md` contains this table. [`Finding::summary`] and its siblings fill in the placeholders; an
//! unknown value is replaced by a general term.

/// Values of the placeholders, by name.
pub type Placeholders<'a> = [(&'a str, &'a str)];

macro_rules! findings {
    ($( $name:ident = ($code:literal, $summary:literal, $cause:literal, $fix:literal); )*) => {
        /// The finding about a connection.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Finding { $(
            #[doc = $summary]
            $name,
        )* }

        impl Finding {
            /// All findings, in the order of the table.
            pub const ALL: &[Self] = &[ $( Self::$name, )* ];

            /// Stable code for programs.
            pub fn code(self) -> &'static str { match self { $( Self::$name => $code, )* } }

            /// The summary in one sentence, with placeholders.
            pub fn summary_template(self) -> &'static str { match self { $( Self::$name => $summary, )* } }

            /// The cause, with placeholders; empty if nothing is wrong.
            pub fn cause_template(self) -> &'static str { match self { $( Self::$name => $cause, )* } }

            /// The fix, with placeholders; empty if there is nothing to do.
            pub fn fix_template(self) -> &'static str { match self { $( Self::$name => $fix, )* } }
        }
    };
}

findings! {
    // --- on the way ---
    LinkOffered = ("link_offered", "The link was created, and the user has not continued from its page yet.", "The user has not pressed Continue. That the page was opened is not recorded: mail scanners and previews open it, too.", "Send the user to the redirect_url of the link call. When the link has ended, make a new one.");
    AtProvider = ("at_provider", "The user was sent to {host} and has not come back.", "The user is still there or gave up; or {toolkit} shows an error of its own. A wrong client_id, a redirect URI that is not registered and a scope that the OAuth client may not ask for are shown there, and the user is not redirected back.", "If {toolkit} shows an error: register {redirect_uri} as redirect URI of the OAuth client, letter for letter, and check client_id and scopes of auth config {auth_config}. Otherwise let the user open the link and press Continue once more.");
    BrowserMismatch = ("browser_mismatch", "Another browser tried to finish what one browser had begun, and was refused.", "Each attempt belongs to the browser that pressed Continue for it. It was finished in another one: on another device, in a view inside an app, in a private window, or where cookies are blocked.", "Let the user open the link in the browser that they use at {toolkit}, press Continue there and finish there. It works while the link does.");
    EntryRefused = ("credential_refused", "What the user entered was not accepted, and the link is open for another try.", "{toolkit} did not accept the key, token or password, or could not be asked.", "Let the user copy it once more, completely, and check that it is still valid at {toolkit}.");
    RequestRefused = ("authorization_request_refused", "{toolkit} did not take the authorization request, so the user could not be sent there.", "The request is pushed to {toolkit} before the user goes there, and was refused: mostly a wrong client_id or client_secret, a redirect URI that is not registered, or a scope that the client may not ask for.", "Correct auth config {auth_config}, or what is registered at {toolkit}; then let the user press Continue once more.");
    RedirectShared = ("redirect_uri_shared", "No user can be connected: another auth config has the same redirect URI for another provider.", "oauth_redirect_uri of auth config {auth_config} belongs to an auth config of another provider, too, maybe in another project. A malicious provider could have the other one's codes sent to itself.", "Take oauth_redirect_uri out of auth config {auth_config} (PATCH with an empty text) and register the server's own redirect URI at {toolkit}; or give one that no other auth config has, forwarded to the path that ends with {auth_config}.");
    AwaitingConfirmation = ("awaiting_confirmation", "The user has finished and waits for your confirmation.", "The project has an oauth_callback_verifier_url: no token is asked for before POST /connected_accounts/complete_auth has named the user.", "Call complete_auth with the session_uri that came to that URL and the user who is signed in there. It works for ten minutes; the code behind it mostly for one.");
    AwaitingChoice = ("awaiting_choice", "The user was asked to choose, and has not answered yet.", "The account of {toolkit} reaches several sites, tenants or workspaces.", "Wait, or ask the user to go back to that page. The question stays open for ten minutes; then the tokens are revoked.");
    Exchanging = ("exchanging", "The user has come back, and the provider is being asked for tokens.", "The token request is under way, or the server ended before its answer was stored.", "Look again in a few seconds. If it stays so, the link ends by itself; then make a new one.");

    // --- the link ended without a connection ---
    LinkNotOpened = ("link_expired", "The link ended before the user continued from its page.", "Continue was not pressed while the link could be opened.", "Make a new link, and send the user there at once.");
    LinkNotFinished = ("link_not_finished", "The user was sent to {host} and did not come back in time.", "The user gave up; or {toolkit} showed an error of its own, which is not reported back: a wrong client_id, a redirect URI that is not registered, a scope that the OAuth client may not ask for.", "Make a new link. If {toolkit} shows an error, register {redirect_uri} as redirect URI of the OAuth client, letter for letter, and check client_id and scopes of auth config {auth_config}.");
    RejectedByUser = ("rejected_by_user", "The person who opened the link said \"This wasn't me\".", "The link was opened by a person who had not requested it.", "Make sure that links reach only the user they are for; then make a new one.");
    AccessDenied = ("access_denied", "The user, or an administrator, refused the access at {toolkit}.", "The user pressed Cancel or Deny, lacks a right that the scopes need, or an administrator must admit the app first.", "Ask the user, and make a new link. In organisations, have an administrator approve the OAuth client; ask for fewer scopes.");
    InteractionRequired = ("interaction_required", "{toolkit} wanted something of the user that it could not ask for.", "{toolkit} was told not to show a page, or the user's organisation demands a further step.", "Make a new link, and let the user sign in at {toolkit} first.");
    RedirectUri = ("redirect_uri_mismatch", "{toolkit} does not know the redirect URI.", "The redirect URI of the request is not the one that is registered for the OAuth client. Schemes, ports, upper case and a slash at the end count.", "Register {redirect_uri} at {toolkit}, letter for letter; then make a new link.");
    InvalidScope = ("invalid_scope", "{toolkit} does not grant the scopes that were asked for.", "A scope is misspelt, is not enabled for the OAuth client, or does not exist any more.", "Correct the scopes of auth config {auth_config}, or enable them at {toolkit}; then make a new link.");
    ClientRefused = ("client_refused", "{toolkit} does not accept the OAuth client.", "client_id or client_secret of the auth config is wrong or was replaced at {toolkit}, the client is disabled, or it may not use this kind of flow.", "Correct client_id and client_secret of auth config {auth_config} with PATCH /auth_configs/{auth_config}; then make a new link.");
    ClientIncomplete = ("client_incomplete", "The token request could not be made.", "The auth config lacks something that {toolkit} demands of its clients, such as a secret or a private key that can be read.", "Complete the credentials of auth config {auth_config}; then make a new link.");
    AuthorizationRefused = ("authorization_refused", "{toolkit} sent the user back with an error.", "{toolkit} refused the authorization request; its words say why.", "Act on the provider's words; compare auth config {auth_config} with what is registered at {toolkit}. Then make a new link.");
    NoCode = ("no_code", "The user came back with neither a code nor an error.", "{toolkit} did not answer as OAuth 2.0 demands, or something on the way took parts of the address away.", "Make a new link. If it happens again, look for a proxy or an extension that shortens addresses.");
    ContextMismatch = ("context_mismatch", "The user came back with an answer that does not belong to the question.", "The answer came to another redirect URI or from another issuer than was asked, or the auth config was changed while the user was at {toolkit}.", "Make a new link. If it happens again, compare the redirect URI that is registered at {toolkit} with {redirect_uri}.");
    WrongUser = ("wrong_user", "Another user finished the link than the one it was for.", "complete_auth named another user_id than the link's: the link was passed on, or the user is signed in to your app under another id.", "Nothing was connected. Make a new link for the user who is signed in.");
    ConfigChanged = ("auth_config_changed", "The auth config was changed while the connection was on its way.", "A code that was asked for with one client or scope is not exchanged with another.", "Make a new link.");
    CodeRefused = ("code_refused", "{toolkit} did not accept the code that it had given.", "The code was too old, or used before: codes live for a minute or so. Or client_id, redirect URI or PKCE of the two requests do not fit together.", "Make a new link. With complete_auth, confirm at once. If it happens each time, check that nothing else exchanges the codes of this client.");
    ExchangeRefused = ("exchange_refused", "{toolkit} gave no token for the code.", "{toolkit} refused the token request, or gave an answer that holds no usable token; its words say why.", "Act on the provider's words; compare auth config {auth_config} with what is registered at {toolkit}. Then make a new link.");
    Unreachable = ("provider_unreachable", "{toolkit} could not be asked for a token.", "{toolkit} was down, answered too late or not at all, or this server cannot reach it.", "Make a new link in a few minutes. If it lasts, check the provider's status page, and this server's way out.");
    NoRefreshToken = ("no_refresh_token", "{toolkit} gave no refresh token, and its connections need one.", "Mostly a scope or parameter for offline access is missing, or {toolkit} gives a refresh token at the first consent only.", "Add the scope for offline access to auth config {auth_config}. Let the user take the access back in the settings of {toolkit}; then make a new link.");
    SeveralToChoose = ("choice_needed", "The account reaches several places, and none was chosen.", "{toolkit} has several sites, tenants or workspaces for this user.", "Make a new link, and let the user choose one.");
    PostConnectFailed = ("account_data_unknown", "{toolkit} gave a token, and did not say which data it reaches.", "The request that follows the token exchange failed or found nothing: a scope is missing, or the user has no site, tenant or workspace there.", "Check the scopes of auth config {auth_config} and what the user may see at {toolkit}; then make a new link.");
    AccountMismatch = ("account_mismatch", "Another account of {toolkit} signed in than the one that this connection is for.", "The user is signed in to {toolkit} with several accounts, and the browser used the wrong one.", "Let the user sign out at {toolkit}, or choose the right account there, and try again: with the same link while it is open, else with a new one. For another account make a connection of its own.");
    AccountUnknown = ("account_unknown", "{toolkit} did not say which account signed in, and this connection is for a certain one.", "The question who the account is failed: a scope is missing, or {toolkit} could not answer.", "Try again with a new link. If it lasts, add the scope that lets {toolkit} say who the user is.");
    LinkReplaced = ("link_replaced", "A newer link took the place of this one.", "Only the newest link of an account works.", "Send the user to the newest link.");
    LinkFinished = ("link_finished", "The link did its work: the account was connected through it.", "", "");

    // --- connected ---
    Works = ("works", "The account works.", "", "");
    MissingScopes = ("missing_scopes", "The account works, and {toolkit} granted less than was asked for.", "{toolkit} did not name these scopes among the granted: {scopes}. The user took some away, or {toolkit} calls them otherwise.", "If calls fail for want of a right, make a link with POST /connected_accounts/{id}/refresh and let the user grant all.");
    NothingToRenew = ("nothing_to_renew_with", "The access token has ended, and there is nothing to get another with.", "{toolkit} gave no refresh token. The next use of the account ends it.", "Connect it again: POST /connected_accounts/{id}/refresh gives a link. For the next time, add the scope for offline access to auth config {auth_config}.");
    HostChanged = ("host_changed", "The account was connected at another host than its auth config names now.", "shared_connection_fields of auth config {auth_config} were changed since. Its client's secret goes only where it was given for, so the account's tokens are not refreshed.", "Connect the account again: POST /connected_accounts/{id}/refresh gives a link for its user. Or change the fields back, together with the client's secret.");
    RefreshClientRefused = ("refresh_client_refused", "{toolkit} refuses the OAuth client, so tokens cannot be refreshed.", "client_id or client_secret of the auth config is wrong, or was replaced or disabled at {toolkit}. The account itself is intact.", "Correct client_id and client_secret with PATCH /auth_configs/{auth_config}. Users do not need to connect again.");
    RefreshUnreachable = ("refresh_unreachable", "{toolkit} could not be asked for a new token; it is tried again.", "{toolkit} is down, slow or limits requests, or this server cannot reach it.", "Wait. If it lasts, check the provider's status page, and this server's way out. Users do not need to connect again.");
    ProviderPaused = ("provider_paused", "{toolkit} is down or asked to be left alone, so no account there is refreshed for a while.", "Several requests in a row, of any account, found {toolkit} unwell, or it answered with Retry-After.", "Wait: this server asks again at the time of `retry_at`. Users do not need to connect again.");
    AnswerLost = ("refresh_answer_lost", "The answer to a refresh was lost on its way; the old refresh token is tried once more.", "The connection broke, or the answer could not be read. If {toolkit} had replaced the refresh token, the new one is lost.", "Wait for the next try. If that is refused, the account becomes EXPIRED and has to be connected again.");
    RefreshRejected = ("refresh_not_understood", "{toolkit} refuses to refresh the token, in words that this server does not understand.", "An error page, a proxy, or an answer of a form that the toolkit file does not describe. Five in a row, a minute apart, end the account.", "Read the provider's words. If it is a passing trouble it ends by itself; otherwise the toolkit file has to name the error.");
    RefreshRefused = ("refresh_refused", "{toolkit} refuses to refresh the token; it is tried again.", "{toolkit} answers with an error that neither ends the account nor blames the client.", "Read the provider's words, and compare auth config {auth_config} with what is registered at {toolkit}.");

    // --- out of use ---
    Disabled = ("disabled", "The account is switched off.", "It was disabled with PATCH /connected_accounts/{id}/status.", "Switch it on again with the same call.");
    ConfigDisabled = ("auth_config_disabled", "The account is out of use while its auth config is.", "Auth config {auth_config} was disabled, and all its accounts with it.", "Enable it with PATCH /auth_configs/{auth_config}/ENABLED.");
    GrantEnded = ("grant_ended", "{toolkit} has ended the access; the account cannot be refreshed any more.", "The refresh token was revoked or has run out: the user changed the password or withdrew the access, an administrator did, it was too long unused, its time was over, or too many connections of one user and client pushed it out. Clients in a provider's test mode get tokens of a few days.", "Let the user connect again: POST /connected_accounts/{id}/refresh gives a link for the same account.");
    EnteredRefused = ("entered_refused", "{toolkit} no longer accepts what was entered.", "The key, password or certificate that tokens are obtained with was changed, withdrawn or has run out.", "Give the new one by a link: POST /connected_accounts/{id}/refresh.");
    TokenEnded = ("token_ended", "The access token ended, and {toolkit} had given no refresh token.", "Without a refresh token a connection lives as long as its first token. Mostly a scope or parameter for offline access is missing.", "Add the scope for offline access to auth config {auth_config}; then POST /connected_accounts/{id}/refresh for a link.");
    Interrupted = ("refresh_interrupted", "The answer to a refresh was lost, and {toolkit} does not accept the old token any more.", "{toolkit} replaced the refresh token, and the new one never arrived: a broken connection, or a server that was killed in that moment.", "Let the user connect again: POST /connected_accounts/{id}/refresh gives a link for the same account.");
    Unclassified = ("unclassified_rejections", "{toolkit} refused to refresh the token five times, in words that this server does not understand.", "Mostly the access has ended and {toolkit} says so in a way that the toolkit file does not describe.", "Let the user connect again: POST /connected_accounts/{id}/refresh gives a link. If it happens again, have the toolkit file name the error.");
    ClientForgotten = ("client_forgotten", "{toolkit} no longer knows the client that the account was connected with.", "This server had registered itself as a client, and {toolkit} forgot it: clients that are not used for a while are deleted, or the server there was set up anew. A grant belongs to its client, so no token can be refreshed.", "Let the user connect again: POST /connected_accounts/{id}/refresh gives a link for the same account. A new client is registered by itself.");
    RevokedByRequest = ("revoked", "The account was revoked at {toolkit} on request.", "POST /connected_accounts/{id}/revoke was called.", "To use it again: POST /connected_accounts/{id}/refresh gives a link.");
    RevokedByOperator = ("revoked_by_operator", "The operator revoked the account's credential.", "The operator ran `switchboard revoke`.", "To use it again: POST /connected_accounts/{id}/refresh gives a link.");
    Other = ("other", "The connection did not work.", "No more is known than `status_reason` says: {reason}.", "Make a new link. If it happens again, look for the request_id of the last event in the server's log.");
}

impl Finding {
    /// The summary.
    pub fn summary(self, placeholders: &Placeholders<'_>) -> String {
        fill(self.summary_template(), placeholders)
    }

    /// The cause; none if nothing is wrong.
    pub fn cause(self, placeholders: &Placeholders<'_>) -> Option<String> {
        Some(fill(self.cause_template(), placeholders)).filter(|text| !text.is_empty())
    }

    /// The fix; none if there is nothing to do.
    pub fn fix(self, placeholders: &Placeholders<'_>) -> Option<String> {
        Some(fill(self.fix_template(), placeholders)).filter(|text| !text.is_empty())
    }
}

/// Fills in the placeholders in one pass: a value cannot introduce another placeholder.
fn fill(template: &str, placeholders: &Placeholders<'_>) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, from)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = from.split_once('}') else { break };
        let value = placeholders.iter().find(|(placeholder, _)| *placeholder == name).map_or(name, |(_, value)| value);
        text.push_str(value);
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All placeholders that are filled in.
    const PLACEHOLDERS: [&str; 7] = ["toolkit", "auth_config", "id", "redirect_uri", "host", "scopes", "reason"];

    #[test]
    fn codes_are_unique_and_texts_have_known_placeholders() {
        let codes: BTreeSet<&str> = Finding::ALL.iter().map(|finding| finding.code()).collect();
        assert_eq!(codes.len(), Finding::ALL.len());
        for finding in Finding::ALL {
            for text in [finding.summary_template(), finding.cause_template(), finding.fix_template()] {
                assert!(text.is_empty() || text.ends_with('.'), "{text}");
                for placeholder in text.split('{').skip(1) {
                    let name = placeholder.split_once('}').unwrap().0;
                    assert!(PLACEHOLDERS.contains(&name), "{name} in {text}");
                }
            }
            assert_eq!(finding.cause_template().is_empty(), finding.fix_template().is_empty(), "{finding:?}");
        }
    }

    #[test]
    fn a_value_introduces_no_placeholder() {
        let placeholders = [("toolkit", "{id}"), ("id", "ca_1")];
        assert_eq!(fill("{toolkit} of {id}, {nobody}.", &placeholders), "{id} of ca_1, nobody.");
    }
}
