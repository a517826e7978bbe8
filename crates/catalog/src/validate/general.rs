//! Rules for the description of a toolkit: names, links, colour, version, categories.

use std::collections::BTreeSet;

use super::names::Names;
use super::{Check, is_header_name};
use crate::path::Path;

/// Headers that the HTTP client sets; a file that set them would break requests.
const OWN_HEADERS: [&str; 8] =
    ["accept-encoding", "connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"];

impl Check<'_> {
    pub(super) fn general(&mut self, folder: Option<&str>) {
        let toolkit = self.toolkit;
        self.slug(folder);
        self.text("name", &toolkit.name);
        self.text("description", &toolkit.description);
        self.categories();
        for (key, url) in [("app_url", &toolkit.app_url), ("auth_guide_url", &toolkit.auth_guide_url)] {
            if let Some(url) = url {
                self.page(&Path::root(key), url);
            }
        }
        self.require(is_color(&toolkit.color), &Path::root("color"), "must be `#` and six hexadecimal digits");
        self.require(
            is_version(&toolkit.version),
            &Path::root("version"),
            "must be a date and a counter, `YYYYMMDD_NN`",
        );
        self.versions();
        self.limit_headers();
        self.headers(&Path::root("headers"), &toolkit.headers, &Names::any(toolkit));
        self.rate_limits();
        for (index, sunset) in toolkit.sunset.iter().enumerate() {
            let path = Path::root("sunset").index(index);
            self.require(is_date(&sunset.date), &path.key("date"), "must be a date, `YYYY-MM-DD`");
            self.require(is_prose(&sunset.message), &path.key("message"), "must be one line of text");
            self.page(&path.key("source"), &sunset.source);
        }
        for (index, url) in toolkit.sources.iter().enumerate() {
            self.page(&Path::root("sources").index(index), url);
        }
        for (index, text) in toolkit.unverified.iter().enumerate() {
            let path = Path::root("unverified").index(index);
            self.require(is_prose(text), &path, "must be one line of text");
        }
        self.require(
            !toolkit.schemes().is_empty(),
            &Path::default().key("oauth2"),
            "at least one scheme is needed, such as `oauth2`, `api_key` or `basic`",
        );
    }

    fn limit_headers(&mut self) {
        let Some(headers) = &self.toolkit.limit_headers else { return };
        let path = Path::root("limit_headers");
        let names = [("limit", &headers.limit), ("remaining", &headers.remaining), ("used", &headers.used)];
        for (key, name) in names.into_iter().chain([("reset", &headers.reset)]) {
            if let Some(name) = name {
                self.require(is_header_name(name), &path.key(key), "is not a header name");
            }
        }
        let has_number = headers.remaining.is_some() != headers.used.is_some();
        self.require(has_number, &path, "needs `remaining` or `used`, and not both");
        for (key, number) in [("window", headers.window), ("refill", headers.refill)] {
            self.require(number != Some(0), &path.key(key), "must be at least 1");
        }
    }

    fn versions(&mut self) {
        let toolkit = self.toolkit;
        let shape = "must be a date and a counter, `YYYYMMDD_NN`";
        for (index, note) in toolkit.changelog.iter().enumerate() {
            let path = Path::root("changelog").index(index);
            self.require(is_version(&note.version), &path.key("version"), shape);
            self.require(is_prose(&note.text), &path.key("text"), "must be one line of text");
        }
        for (index, withdrawn) in toolkit.withdrawn.iter().enumerate() {
            let path = Path::root("withdrawn").index(index);
            let version = &withdrawn.version;
            self.require(is_version(version), &path.key("version"), shape);
            self.require(*version != toolkit.version, &path.key("version"), "must not be the file's own version");
            self.require(is_prose(&withdrawn.reason), &path.key("reason"), "must be one line of text");
            if let Some(replacement) = &withdrawn.replacement {
                let path = path.key("replacement");
                self.require(is_version(replacement), &path, shape);
                self.require(replacement != version, &path, "must not be the version that is withdrawn");
                let is_withdrawn = toolkit.withdrawn.iter().any(|other| other.version == *replacement);
                self.require(!is_withdrawn, &path, "must not be withdrawn itself");
            }
            for (index, slug) in withdrawn.tools.iter().enumerate() {
                let path = path.key("tools").index(index);
                self.require(is_tool_slug(slug), &path, "must be the slug of a tool, in upper case");
            }
        }
    }

    fn slug(&mut self, folder: Option<&str>) {
        let slug = &self.toolkit.slug;
        let path = Path::root("slug");
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let shape = (1..=64).contains(&slug.len()) && slug.bytes().all(allowed);
        self.require(shape, &path, "must be 1 to 64 of `a-z`, `0-9`, `_` and `-`");
        if let Some(folder) = folder
            && folder != slug
        {
            self.report(&path, format!("must equal the name of the folder, `{folder}`"));
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        self.require(is_prose(text), &Path::root(key), "must be one line of text");
    }

    fn categories(&mut self) {
        let categories = &self.toolkit.categories;
        let path = Path::root("categories");
        self.require(!categories.is_empty(), &path, "at least one category is needed");
        let mut seen = BTreeSet::new();
        for (index, category) in categories.iter().enumerate() {
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let shape = !category.is_empty() && category.bytes().all(allowed);
            let path = path.index(index);
            self.require(shape, &path, "must consist of `a-z`, `0-9` and `-`");
            self.require(seen.insert(category), &path, "is listed twice");
        }
    }

    pub(super) fn header_name(&mut self, path: &Path, name: &str) {
        if !is_header_name(name) {
            self.report(path, format!("`{name}` is not a header name"));
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            self.report(path, format!("header `{name}` is set by the service itself"));
        }
    }
}

/// A non-empty single line of text.
pub(super) fn is_prose(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

fn is_tool_slug(slug: &str) -> bool {
    !slug.is_empty() && slug.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_color(color: &str) -> bool {
    let digits = color.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_version(version: &str) -> bool {
    let Some((date, counter)) = version.split_once('_') else {
        return false;
    };
    let all_digits = [date, counter].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if date.len() != 8 || counter.len() != 2 || !all_digits {
        return false;
    }
    ("01".."13").contains(&&date[4..6]) && ("01".."32").contains(&&date[6..8])
}

/// `YYYY-MM-DD`, with a valid month and day.
fn is_date(date: &str) -> bool {
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let digits = [year, month, day].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    digits && year.len() == 4 && ("01".."13").contains(month) && ("01".."32").contains(day)
}
