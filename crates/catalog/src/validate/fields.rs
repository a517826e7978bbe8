//! Rules for fields: what a person enters, and that every name means one thing.

use super::Check;
use super::general::is_prose;
use crate::model::{Field, FieldFormat};
use crate::path::Path;
use crate::template::is_variable_name;

/// Names that templates or the API give a meaning of their own.
const RESERVED: [&str; 3] = ["access_token", "sandbox_url", "sandbox_host"];

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
        for (key, scheme) in [("api_key", &toolkit.api_key), ("bearer_token", &toolkit.bearer_token)] {
            let Some(scheme) = scheme else { continue };
            let path = Path::root(key).key("fields");
            self.fields(&path, &scheme.fields, &toolkit.fields);
            let any_secret = scheme.fields.iter().any(|field| field.secret);
            self.require(any_secret, &path, "at least one field must have `secret = true`");
        }
    }

    fn fields(&mut self, path: &Path, fields: &[Field], taken: &[Field]) {
        for (index, field) in fields.iter().enumerate() {
            let path = path.index(index);
            let name = &path.key("name");
            if !is_variable_name(&field.name) {
                self.report(name, "must be a lower-case letter followed by `a-z`, `0-9` and `_`");
            }
            let reserved = RESERVED.contains(&field.name.as_str());
            self.require(!reserved, name, "is a name with a meaning of its own");
            let duplicate = fields[..index].iter().chain(taken).any(|other| other.name == field.name);
            if duplicate {
                self.report(name, format!("field `{}` is declared twice", field.name));
            }
            self.field(&path, field);
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
        if field.secret {
            let format = field.format == FieldFormat::Text;
            self.require(format, &path.key("format"), "must be `text` where `secret = true`");
            let message = "must be absent where `secret = true`: a file is no place for a secret";
            self.require(field.default.is_none(), &path.key("default"), message);
        }
    }
}
