//! Rules for fields. Every name must have a single meaning.

use super::Check;
use super::general::is_prose;
use crate::field::compile;
use crate::model::Field;
use crate::path::Path;
use crate::scheme::Scheme;
use crate::template::is_variable_name;

/// Names with a meaning of their own in templates or the API.
const RESERVED: [&str; 8] =
    ["access_token", "refresh_token", "token", "assertion", "redirect_uri", "state", "sandbox_url", "sandbox_host"];

/// `token` is the API name of a bearer token's field.
fn is_reserved(name: &str, path: &Path) -> bool {
    RESERVED.contains(&name) && !(name == "token" && path.to_string().starts_with("bearer_token"))
}

impl Check<'_> {
    /// Connection fields and the fields of every scheme.
    pub(super) fn all_fields(&mut self) {
        let toolkit = self.toolkit;
        let path = Path::root("fields");
        self.fields(&path, &toolkit.fields, &[]);
        for (index, field) in toolkit.fields.iter().enumerate() {
            let message = "must be false: a connection field is not secret, a scheme's field may be";
            self.require(!field.secret, &path.index(index).key("secret"), message);
            let basic = toolkit.basic.is_some() && ["username", "password"].contains(&&*field.name);
            let message = "is a name of the `basic` scheme's own fields";
            self.require(!basic, &path.index(index).key("name"), message);
        }
        for scheme in toolkit.schemes() {
            let own = toolkit.own_fields(scheme);
            let path = Path::root(scheme.table()).key("fields");
            self.fields(&path, &own, &toolkit.fields);
            let any_secret = own.iter().any(|field| field.secret);
            match scheme {
                Scheme::OAuth2 | Scheme::DcrOAuth | Scheme::CimdOAuth | Scheme::OAuth1 => {
                    self.require(!any_secret, &path, "must not be secret: the secret is the token");
                }
                Scheme::NoAuth | Scheme::Basic => {}
                _ => self.require(any_secret, &path, "at least one field must have `secret = true`"),
            }
        }
    }

    fn fields(&mut self, path: &Path, fields: &[Field], taken: &[Field]) {
        for (index, field) in fields.iter().enumerate() {
            let path = path.index(index);
            let name = &path.key("name");
            if !is_variable_name(&field.name) {
                self.report(name, "must be a lower-case letter followed by `a-z`, `0-9` and `_`");
            }
            let reserved = is_reserved(&field.name, &path);
            self.require(!reserved, name, "is a reserved name");
            let duplicate = fields[..index].iter().chain(taken).any(|other| other.name == field.name);
            if duplicate {
                self.report(name, format!("field `{}` is declared twice", field.name));
            }
            self.field(&path, field);
            self.sets(&path, field, |name| fields.iter().chain(taken).any(|other| other.name == name));
            if let Some(condition) = &field.visible_when {
                let known = fields[..index].iter().chain(taken).any(|other| other.name == condition.field);
                self.require(known, &path.key("visible_when").key("field"), "must be an earlier field");
            }
        }
    }

    /// Variables set by options: the same for each option, with names that are not used elsewhere.
    fn sets(&mut self, path: &Path, field: &Field, is_field: impl Fn(&str) -> bool) {
        let Some(first) = field.options.first().filter(|_| field.sets_variables()) else { return };
        for (index, option) in field.options.iter().enumerate() {
            let path = path.key("options").index(index).key("sets");
            let same = option.sets.keys().eq(first.sets.keys());
            self.require(same, &path, "all options of a field must set the same variables");
            for (name, value) in &option.sets {
                let path = path.key(name);
                let free = is_variable_name(name) && !RESERVED.contains(&name.as_str()) && !is_field(name);
                self.require(free, &path, "must be a unique name: a lower-case letter, then `a-z`, `0-9` and `_`");
                self.require(is_prose(value), &path, "must be one line of text");
            }
        }
    }

    fn field(&mut self, path: &Path, field: &Field) {
        let label = is_prose(&field.display_name);
        self.require(label, &path.key("display_name"), "must be one line of text");
        let value_keys = [("default", &field.default), ("example", &field.example)];
        for (key, value) in value_keys {
            let Some(value) = value else { continue };
            if let Err(message) = field.check(value) {
                self.report(&path.key(key), message);
            }
        }
        if let Some(pattern) = &field.pattern
            && let Err(error) = compile(pattern)
        {
            self.report(&path.key("pattern"), format!("is not a regular expression: {error}"));
        }
        for (key, texts) in [("strip_prefixes", &field.strip_prefixes), ("strip_suffixes", &field.strip_suffixes)] {
            self.require(texts.iter().all(|text| !text.is_empty()), &path.key(key), "must not contain an empty text");
        }
        for (index, option) in field.options.iter().enumerate() {
            let path = path.key("options").index(index);
            if let Err(message) = field.format.check(&option.value) {
                self.report(&path.key("value"), message);
            }
            self.require(is_prose(&option.label), &path.key("label"), "must be one line of text");
        }
        if field.secret {
            let format = !field.format.fits_url();
            self.require(format, &path.key("format"), "must be `text` or `document` where `secret = true`");
            let message = "not allowed with `secret = true`: a file must not contain a secret";
            self.require(field.default.is_none(), &path.key("default"), message);
        }
    }
}
