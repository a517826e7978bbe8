//! The toolkits that are compiled in. Add new folders to this list, `with_tools` if they have a `tools.toml`.
//!
//! Each is parsed when it is first needed, so that a start costs the same with any number of them. A test parses them
//! all.

use std::sync::{Arc, OnceLock};

use crate::error::CatalogError;
use crate::model::Toolkit;
use crate::parse;
use crate::plain_http::PlainHttp;

/// A toolkit that is compiled in.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub slug: &'static str,
    /// For messages.
    file_name: &'static str,
    text: &'static str,
    /// `tools.toml`, if the toolkit has one.
    tools: Option<&'static str>,
    /// None if the file is invalid, which the test excludes.
    parsed: OnceLock<Option<Arc<Toolkit>>>,
}

impl Builtin {
    /// The toolkit, parsed at the first call.
    pub fn toolkit(&self) -> Option<&Arc<Toolkit>> {
        self.parsed.get_or_init(|| self.parse().ok().map(Arc::new)).as_ref()
    }

    fn parse(&self) -> Result<Toolkit, CatalogError> {
        let mut toolkit = parse::toolkit(self.file_name, self.text, &PlainHttp::default())?;
        if let Some(tools) = self.tools {
            toolkit.tools = parse::tools(&self.file_name.replace("toolkit.toml", "tools.toml"), tools, &toolkit)?;
        }
        Ok(toolkit)
    }
}

macro_rules! tools_text {
    ($slug:literal) => {
        None
    };
    ($slug:literal with_tools) => {
        Some(include_str!(concat!("../../../toolkits/", $slug, "/tools.toml")))
    };
}

macro_rules! toolkit_files {
    ($($slug:literal $($with_tools:ident)?)*) => {
        /// All of them, in the order of slugs.
        pub(crate) static BUILTINS: [Builtin; [$($slug),*].len()] = [$(Builtin {
            slug: $slug,
            file_name: concat!("toolkits/", $slug, "/toolkit.toml"),
            text: include_str!(concat!("../../../toolkits/", $slug, "/toolkit.toml")),
            tools: tools_text!($slug $($with_tools)?),
            parsed: OnceLock::new(),
        }),*];
    };
}

toolkit_files! {
    "airtable"
    "amplitude"
    "anthropic"
    "asana"
    "auth0"
    "aws_s3"
    "basecamp"
    "bitbucket"
    "box"
    "calendly"
    "clickup"
    "cloudflare"
    "confluence"
    "datadog"
    "discord"
    "discordbot"
    "docusign"
    "dropbox"
    "excel"
    "figma"
    "freshdesk"
    "github"
    "gitlab"
    "gmail"
    "googlebigquery"
    "googlecalendar"
    "googledocs"
    "googledrive"
    "googlesheets"
    "googletasks"
    "gorgias"
    "hubspot"
    "intercom"
    "jira"
    "linear"
    "linkedin"
    "mailchimp"
    "microsoft_teams"
    "mixpanel"
    "monday"
    "notion"
    "okta"
    "one_drive"
    "openai"
    "openid_connect"
    "outlook"
    "pagerduty"
    "pipedrive"
    "posthog"
    "quickbooks"
    "reddit"
    "salesforce"
    "sandbox" with_tools
    "sendgrid"
    "sentry"
    "serpapi"
    "servicenow"
    "shopify"
    "slack"
    "slackbot"
    "snowflake"
    "spotify"
    "stripe"
    "supabase"
    "todoist"
    "trello"
    "twilio"
    "twitter"
    "typeform"
    "vercel"
    "vercel_integration"
    "webflow"
    "xero"
    "youtube"
    "zendesk"
    "zoom"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_valid_and_stands_under_its_slug() {
        for builtin in &BUILTINS {
            let toolkit = builtin.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(toolkit.slug, builtin.slug);
        }
    }
}
