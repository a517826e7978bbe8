//! The toolkits that are compiled in: the one list to extend when a folder is added.

macro_rules! toolkit_files {
    ($($slug:literal)*) => {
        /// File name as shown in messages, and text.
        pub(crate) const FILES: &[(&str, &str)] = &[$((
            concat!("toolkits/", $slug, "/toolkit.toml"),
            include_str!(concat!("../../../toolkits/", $slug, "/toolkit.toml")),
        )),*];
    };
}

toolkit_files! {
    "airtable"
    "amplitude"
    "anthropic"
    "auth0"
    "aws_s3"
    "box"
    "calendly"
    "clickup"
    "cloudflare"
    "datadog"
    "docusign"
    "dropbox"
    "figma"
    "freshdesk"
    "github"
    "gitlab"
    "gmail"
    "googlecalendar"
    "googledrive"
    "hubspot"
    "intercom"
    "jira"
    "linear"
    "linkedin"
    "mailchimp"
    "mixpanel"
    "notion"
    "okta"
    "openai"
    "pagerduty"
    "pipedrive"
    "posthog"
    "quickbooks"
    "reddit"
    "salesforce"
    "sandbox"
    "sendgrid"
    "sentry"
    "serpapi"
    "servicenow"
    "shopify"
    "slack"
    "snowflake"
    "spotify"
    "stripe"
    "supabase"
    "twilio"
    "twitter"
    "typeform"
    "vercel"
    "webflow"
    "xero"
    "zendesk"
    "zoom"
}
