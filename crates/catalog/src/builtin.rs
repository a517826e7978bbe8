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
    "github"
    "gitlab"
    "gmail"
    "googlecalendar"
    "googledrive"
    "hubspot"
    "jira"
    "linear"
    "notion"
    "openai"
    "sandbox"
    "slack"
    "stripe"
}
