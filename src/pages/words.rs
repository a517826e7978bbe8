//! The text of each ending: what happened, and what to do next.

use axum::http::StatusCode;

use super::render::short;
use crate::app::connect::{Ending, Finished};

/// The text of a page.
pub struct Words {
    /// HTTP status of the response.
    pub status: StatusCode,
    /// What happened, for tests and for the icon.
    pub result: &'static str,
    /// Heading.
    pub title: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub next: &'static str,
}

/// The text for an ending of a connection with the provider `name`. `has_button`: the page has a
/// button.
pub fn words(finished: &Finished, name: &str, has_button: bool) -> Words {
    let (status, result, title, message, next) = parts(finished, name, has_button);
    Words { status, result, title, message, next }
}

fn parts(
    finished: &Finished,
    name: &str,
    has_button: bool,
) -> (StatusCode, &'static str, String, String, &'static str) {
    let start_over = if finished.may_retry && has_button {
        "You can try again now."
    } else {
        "Go back to the app and start again; it will give you a new link."
    };
    match finished.ending {
        Ending::Success => (
            StatusCode::OK,
            "success",
            format!("{name} is connected"),
            "Your account was connected.".to_owned(),
            "You can close this window and go back to the app.",
        ),
        Ending::Connected => (
            StatusCode::OK,
            "success",
            format!("{name} is connected"),
            "Your account was connected before; there is nothing left to do.".to_owned(),
            if has_button { "Go back to the app." } else { "You can close this window and go back to the app." },
        ),
        Ending::Closed => (
            StatusCode::OK,
            "closed",
            "You can close this window".to_owned(),
            "There is nothing to do here.".to_owned(),
            "Go back to the app: it knows whether your account is connected.",
        ),
        Ending::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "limited",
            "One moment".to_owned(),
            "Your connection is being finished in another window.".to_owned(),
            "Load this page again in a few seconds.",
        ),
        Ending::AccountMismatch => (
            StatusCode::CONFLICT,
            "failed",
            "This is another account".to_owned(),
            match &finished.signed_in {
                Some(name_at_provider) => format!(
                    "You signed in to {name} as {}, and this connection is for another account. Nothing was connected.",
                    short(name_at_provider)
                ),
                None => format!(
                    "{name} did not say which account you signed in with, and this connection is for a certain one. Nothing was connected."
                ),
            },
            if has_button {
                "Sign out at the provider, or choose the other account there, and try again."
            } else {
                "Sign in with the other account, go back to the app and start again."
            },
        ),
        Ending::Unconfirmed => (
            StatusCode::OK,
            "success",
            "Almost done".to_owned(),
            format!("The app has to confirm that it was you who connected {name}."),
            "Go back to the app.",
        ),
        Ending::Choose => (
            StatusCode::OK,
            "success",
            "One more question".to_owned(),
            format!("You have access to several in {name}. Choose the one to connect."),
            "Go on to the next page.",
        ),
        Ending::Denied => (
            StatusCode::OK,
            "denied",
            "Nothing was connected".to_owned(),
            format!("You didn’t allow access in {name}."),
            if has_button {
                "If that was a mistake, you can try again now."
            } else {
                "If that was a mistake, go back to the app and start again."
            },
        ),
        Ending::Rejected => (
            StatusCode::OK,
            "rejected",
            "Thank you for checking".to_owned(),
            "This link no longer works, and nothing was connected.".to_owned(),
            "If someone sent you this link, be careful with anything else they send.",
        ),
        Ending::Expired => (
            StatusCode::GONE,
            "expired",
            "This link has expired".to_owned(),
            "Links work for a short time only. Nothing was connected.".to_owned(),
            start_over,
        ),
        Ending::Used => (
            StatusCode::GONE,
            "used",
            "This link was already used".to_owned(),
            "Each link works once.".to_owned(),
            "If your account is not connected yet, go back to the app and start again.",
        ),
        Ending::BrowserMismatch => (
            StatusCode::FORBIDDEN,
            "browser_mismatch",
            "This was started in another browser".to_owned(),
            "For your safety, a connection must be finished in the browser that started it. Nothing was connected."
                .to_owned(),
            "Continue in the browser where you started. If you did not start this, close this page.",
        ),
        Ending::Invalid => (
            StatusCode::BAD_REQUEST,
            "invalid",
            "This link does not work".to_owned(),
            "It is incomplete, or it was used before.".to_owned(),
            start_over,
        ),
        Ending::ContextMismatch => (
            StatusCode::BAD_REQUEST,
            "invalid",
            "We couldn’t verify that response".to_owned(),
            format!("The response did not come from {name}. Nothing was connected."),
            start_over,
        ),
        Ending::ProviderError => {
            let provider_message = finished.detail.as_ref().map(|detail| format!(" It said: {detail}"));
            let finding = finished.finding.as_ref().map(|finding| format!(" {}.", finding.trim_end_matches('.')));
            let more = provider_message.or(finding).unwrap_or_default();
            (
                StatusCode::BAD_GATEWAY,
                "provider_error",
                format!("{name} could not connect you"),
                format!("{name} did not complete the connection.{more}"),
                "Try again in a few minutes. If it happens again, contact the app's support and include the reference below.",
            )
        }
        Ending::CrossSite => (
            StatusCode::FORBIDDEN,
            "invalid",
            "This form came from another site".to_owned(),
            "For your safety it was not accepted. Nothing was connected.".to_owned(),
            "Open the link that the app gave you and press the button there.",
        ),
        Ending::RateLimited => (
            StatusCode::TOO_MANY_REQUESTS,
            "limited",
            "Too many attempts".to_owned(),
            "There were too many attempts in a short time. Nothing was connected by this one.".to_owned(),
            "Wait a minute, then open the link again; it stays valid until it expires.",
        ),
        Ending::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here".to_owned(),
            "This is our fault. Nothing was connected.".to_owned(),
            "Try again in a few minutes. If it happens again, contact the app's support and include the reference below.",
        ),
    }
}
