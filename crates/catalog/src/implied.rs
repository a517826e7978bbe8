//! Values that are not stored with an account but follow from its fields: the default of a field that was
//! added later, and variables set by the chosen option.

use std::collections::BTreeMap;

use crate::Scheme;
use crate::model::{Field, Filter, Toolkit};

impl Toolkit {
    /// The values that follow from an account's values; `known` looks up a field by name.
    pub fn implied<'v>(&self, scheme: Scheme, known: impl Fn(&str) -> Option<&'v str>) -> BTreeMap<String, String> {
        let mut implied = BTreeMap::new();
        for field in self.fields_of(scheme).filter(|field| field.default.is_some() || field.sets_variables()) {
            let stored = known(&field.name);
            let Some(value) = stored.or(field.default.as_deref()) else { continue };
            let chosen = field.options.iter().find(|option| option.value == value);
            implied.extend(chosen.into_iter().flat_map(|option| option.sets.clone()));
            if stored.is_none() {
                implied.insert(field.name.clone(), value.to_owned());
            }
        }
        implied
    }

    /// The field whose options set a variable.
    pub fn field_that_sets(&self, scheme: Scheme, variable: &str) -> Option<&Field> {
        self.fields_of(scheme).find(|field| field.options.iter().any(|option| option.sets.contains_key(variable)))
    }

    /// Connection fields and those of the scheme, in file order.
    fn fields_of(&self, scheme: Scheme) -> impl Iterator<Item = &Field> {
        self.fields.iter().chain(self.declared_fields(self.effective(scheme)))
    }
}

impl Field {
    /// Whether any of its options sets variables.
    pub fn sets_variables(&self) -> bool {
        self.options.iter().any(|option| !option.sets.is_empty())
    }
}

impl Filter {
    /// Whether a value matches.
    pub fn admits(&self, value: &str) -> bool {
        self.is.iter().any(|wanted| match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
            (Some(rest), Some(_)) => value.contains(rest.trim_end_matches('*')),
            (Some(end), None) => value.ends_with(end),
            (None, Some(start)) => value.starts_with(start),
            (None, None) => value == wanted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;

    #[test]
    fn options_set_variables_and_later_fields_have_their_default() {
        let text = r##"
            slug = "acme"
            name = "Acme"
            description = "A provider"
            categories = ["testing"]
            color = "#112233"
            version = "20260101_00"
            base_url = "https://{api}"
            hosts = ["{api}", "{intake}"]
            [[fields]]
            name = "api"
            display_name = "Region"
            format = "hostname"
            default = "us.acme.example"
            options = [
              { value = "us.acme.example", label = "US", sets = { intake = "in.us.acme.example" } },
              { value = "eu.acme.example", label = "EU", sets = { intake = "in.eu.acme.example" } },
            ]
            [api_key]
            fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
            apply = [{ header = "X-Key", value = "{generic_api_key}" }]
        "##;
        let mut catalog = Catalog::default();
        catalog.add("acme/toolkit.toml", text).unwrap();
        let acme = catalog.get("acme").unwrap();
        let of = |value: Option<&'static str>| acme.implied(Scheme::ApiKey, |name| value.filter(|_| name == "api"));
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(of(Some("eu.acme.example")), map(&[("intake", "in.eu.acme.example")]));
        assert_eq!(of(None), map(&[("api", "us.acme.example"), ("intake", "in.us.acme.example")]));
        // A value that the file no longer lists sets nothing: never guess a host.
        assert_eq!(of(Some("old.acme.example")), map(&[]));
        assert_eq!(acme.field_that_sets(Scheme::ApiKey, "intake").map(|field| field.name.as_str()), Some("api"));
    }
}
