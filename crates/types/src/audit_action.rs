//! What an audit event records: the action, and how it ended.

use crate::words::words;
use crate::{Reason, ReasonCode, Stored};

words! {
    /// An action of the audit log, as `noun.verb`.
    AuditAction {
        /// An API key was created.
        ApiKeyCreate "api_key.create";
        /// An API key was revoked.
        ApiKeyRevoke "api_key.revoke";
        /// All API keys of a project were revoked and replaced by one.
        ApiKeyRevokeAll "api_key.revoke_all";
        /// An operator accepted the database's newest audit segment as the head.
        AuditAcceptHead "audit.accept_head";
        /// A person was asked before a call and said no.
        ApprovalDeny "approval.deny";
        /// A person was asked before a call and allowed it.
        ApprovalGrant "approval.grant";
        /// An auth config was created.
        AuthConfigCreate "auth_config.create";
        /// An auth config was deleted.
        AuthConfigDelete "auth_config.delete";
        /// An auth config was disabled.
        AuthConfigDisable "auth_config.disable";
        /// An auth config was enabled.
        AuthConfigEnable "auth_config.enable";
        /// The provider no longer knows the client that was registered for an auth config.
        AuthConfigForgetClient "auth_config.forget_client";
        /// The provider accepted another client authentication method than the configured one.
        AuthConfigLearnMethod "auth_config.learn_method";
        /// A client was registered at the provider for an auth config.
        AuthConfigRegisterClient "auth_config.register_client";
        /// An auth config was changed.
        AuthConfigUpdate "auth_config.update";
        /// An account got its credential.
        AccountConnect "connected_account.connect";
        /// An account was deleted.
        AccountDelete "connected_account.delete";
        /// An account was disabled.
        AccountDisable "connected_account.disable";
        /// An account was enabled.
        AccountEnable "connected_account.enable";
        /// The credential of an account ended.
        AccountExpire "connected_account.expire";
        /// An account was created with its credential.
        AccountImport "connected_account.import";
        /// An operator read a stored response that may hold tokens.
        AccountReadAnswer "connected_account.read_answer";
        /// The token of an account was refreshed, or the refresh failed.
        AccountRefresh "connected_account.refresh";
        /// The credential of an account was revoked, or is to be revoked.
        AccountRevoke "connected_account.revoke";
        /// The provider was asked to revoke a credential.
        AccountRevokeUpstream "connected_account.revoke_upstream";
        /// An account was changed.
        AccountUpdate "connected_account.update";
        /// A file was announced; its bytes may follow.
        FileCreate "file.create";
        /// Files of a session were deleted.
        FileDelete "file.delete";
        /// The browser came back from the provider.
        LinkCallback "link.callback";
        /// The user was asked to choose one of several places, or chose.
        LinkChoose "link.choose";
        /// The user chose how to connect.
        LinkChooseScheme "link.choose_scheme";
        /// The user entered the device code at the provider.
        LinkCode "link.code";
        /// The developer named the user who finished.
        LinkConfirm "link.confirm";
        /// A link was created.
        LinkCreate "link.create";
        /// A link ended without a connection.
        LinkEnd "link.end";
        /// The user entered a credential.
        LinkEnter "link.enter";
        /// An attempt of a link failed; the link may still succeed.
        LinkFail "link.fail";
        /// The user was sent to the provider.
        LinkOpen "link.open";
        /// A visit or an authorization request was refused.
        LinkRefuse "link.refuse";
        /// A key of the organization was created.
        OrganizationKeyCreate "organization_key.create";
        /// A key of the organization was revoked.
        OrganizationKeyRevoke "organization_key.revoke";
        /// The settings of a project were changed.
        ProjectConfigure "project.configure";
        /// A project was created.
        ProjectCreate "project.create";
        /// A project was deleted.
        ProjectDelete "project.delete";
        /// Everything in a deleted project was deleted.
        ProjectEmpty "project.empty";
        /// A session was created.
        SessionCreate "session.create";
        /// A session was deleted.
        SessionDelete "session.delete";
        /// A session was changed.
        SessionUpdate "session.update";
    }
}

words! {
    /// How an audited action ended. An action that failed for a [`Reason`](crate::Reason) has the reason's
    /// sentence instead.
    AuditOutcome {
        /// It was done.
        Ok "ok";
        /// It failed.
        Failed "failed";
        /// The response to a refresh was lost.
        AnswerLost "answer_lost";
        /// The user was asked to choose.
        Asked "asked";
        /// The provider refused the authorization request.
        AuthorizationRequest "authorization_request";
        /// The developer must name the user first.
        AwaitingConfirmation "awaiting_confirmation";
        /// Another browser than the one that began.
        BrowserMismatch "browser_mismatch";
        /// The response does not belong to its request.
        ContextMismatch "context_mismatch";
        /// The provider did not accept what the user entered.
        CredentialRefused "credential_refused";
        /// The tokens were not revoked, because a working account may depend on them.
        Kept "kept";
        /// The key was found in public.
        Leaked "leaked";
        /// The provider ended the device authorization.
        Refused "refused";
        /// The attempt was ended because it could not be completed any more.
        Stopped "stopped";
        /// The account was never connected.
        NeverConnected "never connected";
        /// The provider has no way to revoke.
        NotSupported "not_supported";
        /// The redirect URI belongs to another provider, too.
        RedirectUriShared "redirect_uri_shared";
        /// The provider revoked the tokens.
        Revoked "revoked";
        /// The tokens belong to no account and are being revoked.
        Unwanted "unwanted";
        /// Another user finished.
        WrongUser "wrong_user";
    }
}

/// How an audited action ended: a known outcome, or the reason that it failed for.
#[derive(Clone, Copy, Debug)]
pub enum AuditResult<'a> {
    /// A known outcome.
    Outcome(AuditOutcome),
    /// It failed for this reason.
    Reason(&'a Reason),
}

impl AuditResult<'_> {
    /// What is stored: the outcome, or the reason's sentence.
    pub fn stored(self) -> Stored<AuditOutcome> {
        match self {
            Self::Outcome(outcome) => outcome.into(),
            Self::Reason(reason) => AuditOutcome::read(reason.to_string()),
        }
    }

    /// The code of the reason.
    pub fn reason_code(self) -> Option<ReasonCode> {
        match self {
            Self::Outcome(_) => None,
            Self::Reason(reason) => Some(reason.code()),
        }
    }
}

impl From<AuditOutcome> for AuditResult<'_> {
    fn from(outcome: AuditOutcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl<'a> From<&'a Reason> for AuditResult<'a> {
    fn from(reason: &'a Reason) -> Self {
        Self::Reason(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::parse(action.as_str()), Some(*action));
        }
        for outcome in AuditOutcome::ALL {
            assert_eq!(AuditOutcome::parse(outcome.as_str()), Some(*outcome));
        }
    }

    #[test]
    fn a_stored_word_keeps_its_text_whether_it_is_known_or_not() {
        for (text, known) in
            [("refused", Some(AuditOutcome::Refused)), ("Refused", None), (" refused", None), ("", None)]
        {
            let stored = AuditOutcome::read(text.to_owned());
            assert_eq!((stored.as_str(), stored.known()), (text, known));
        }
        let mismatch = Reason::new(ReasonCode::ContextMismatch);
        assert_eq!(AuditResult::from(&mismatch).stored().as_str(), "context_mismatch");
        let interrupted = Reason::new(ReasonCode::RefreshInterrupted);
        assert_eq!(AuditResult::from(&interrupted).stored(), Stored::Other(interrupted.to_string()));
    }
}
