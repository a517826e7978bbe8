//! The toolkits that are compiled in. Add new folders to this list, `with_tools` if they have a `tools.toml`.
//!
//! Each is parsed when it is first needed, so that a start costs the same with any number of them. A test parses them
//! all.

use std::sync::{Arc, OnceLock};

use crate::error::CatalogError;
use crate::model::Toolkit;
use crate::parse;
use crate::plain_http::PlainHttp;
use crate::tool::{PackedTools, Release, Tools, unpacked};

/// A toolkit that is compiled in.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub slug: &'static str,
    name: &'static str,
    version: &'static str,
    /// For messages.
    file_name: &'static str,
    /// `toolkit.toml`, as the build script packs it.
    compressed: &'static [u8],
    /// `tools.toml`, if the toolkit has one.
    tools: Option<PackedTools>,
    /// None if the file is invalid, which the test excludes.
    parsed: OnceLock<Option<Arc<Toolkit>>>,
}

impl Builtin {
    /// The toolkit, parsed at the first call.
    pub fn toolkit(&self) -> Option<&Arc<Toolkit>> {
        self.parsed.get_or_init(|| self.parse().ok().map(Arc::new)).as_ref()
    }

    /// The release of its tools. None if it has none.
    pub fn release(&self) -> Option<Release> {
        Some(self.tools?.release(self.slug, self.version, self.name))
    }

    fn parse(&self) -> Result<Toolkit, CatalogError> {
        // A text that cannot be unpacked is an invalid file, which the test excludes.
        let text = unpacked(self.compressed).unwrap_or_default();
        let mut toolkit = parse::toolkit(self.file_name, &text, &PlainHttp::default())?;
        if let Some(packed) = self.tools {
            toolkit.tools = Tools::builtin(packed);
        }
        Ok(toolkit)
    }
}

macro_rules! tools_text {
    ($slug:literal) => {
        None
    };
    ($slug:literal with_tools) => {
        Some(PackedTools {
            file_name: concat!("toolkits/", $slug, "/tools.toml"),
            compressed: include_bytes!(concat!(env!("OUT_DIR"), "/", $slug, ".tools")),
            digest: include_str!(concat!(env!("OUT_DIR"), "/", $slug, ".digest")),
            count: include!(concat!(env!("OUT_DIR"), "/", $slug, ".count")),
        })
    };
}

macro_rules! toolkit_files {
    ($($slug:literal $($with_tools:ident)?)*) => {
        /// All of them, in the order of slugs.
        pub(crate) static BUILTINS: [Builtin; [$($slug),*].len()] = [$(Builtin {
            slug: $slug,
            name: include_str!(concat!(env!("OUT_DIR"), "/", $slug, ".name")),
            version: include_str!(concat!(env!("OUT_DIR"), "/", $slug, ".version")),
            file_name: concat!("toolkits/", $slug, "/toolkit.toml"),
            compressed: include_bytes!(concat!(env!("OUT_DIR"), "/", $slug, ".toolkit")),
            tools: tools_text!($slug $($with_tools)?),
            parsed: OnceLock::new(),
        }),*];
    };
}

toolkit_files! {
    "airtable" with_tools
    "amplitude"
    "anthropic"
    "asana" with_tools
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
    "discordbot" with_tools
    "docusign"
    "dropbox"
    "excel"
    "figma"
    "freshdesk"
    "github" with_tools
    "gitlab" with_tools
    "gmail" with_tools
    "googlebigquery"
    "googlecalendar" with_tools
    "googledocs" with_tools
    "googledrive" with_tools
    "googlesheets" with_tools
    "googletasks"
    "gorgias"
    "hubspot" with_tools
    "intercom"
    "jira" with_tools
    "linear" with_tools
    "linkedin"
    "mailchimp"
    "microsoft_teams" with_tools
    "mixpanel"
    "monday"
    "notion" with_tools
    "okta"
    "one_drive" with_tools
    "openai" with_tools
    "openid_connect"
    "outlook" with_tools
    "pagerduty"
    "pipedrive"
    "posthog"
    "quickbooks"
    "reddit"
    "salesforce" with_tools
    "sandbox" with_tools
    "sendgrid"
    "sentry"
    "serpapi"
    "servicenow"
    "shopify"
    "slack" with_tools
    "slackbot"
    "snowflake"
    "spotify"
    "stripe" with_tools
    "supabase"
    "todoist"
    "trello" with_tools
    "twilio" with_tools
    "twitter"
    "typeform"
    "vercel"
    "vercel_integration"
    "webflow"
    "xero"
    "youtube" with_tools
    "zendesk" with_tools
    "zoom"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_valid_and_stands_under_its_slug() {
        for builtin in &BUILTINS {
            let toolkit = builtin.parse().unwrap_or_else(|error| panic!("{error}"));
            if let Some(packed) = builtin.tools {
                let text = packed.text().expect("a text");
                let tools = parse::tools(packed.file_name, &text, &toolkit).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(tools.len(), toolkit.tool_count(), "{}", toolkit.slug);
            }
            assert_eq!(toolkit.slug, builtin.slug);
            assert_eq!((toolkit.name.as_str(), toolkit.version.as_str()), (builtin.name, builtin.version));
        }
    }
}
