//! The variables of the templates in one place, and their properties.

use crate::model::{Capture, Field, Toolkit};
use crate::scheme::Scheme;

use super::BUILTIN_VARIABLES;

/// A variable that is neither a field nor a captured value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extra {
    pub(super) name: &'static str,
    /// Whether it is part of the credential.
    pub(super) secret: bool,
    /// Whether it is encoded as a path segment in URLs.
    pub(super) in_path: bool,
}

impl Extra {
    pub(super) const fn secret(name: &'static str) -> Self {
        Self { name, secret: true, in_path: false }
    }

    pub(super) const fn plain(name: &'static str) -> Self {
        Self { name, secret: false, in_path: false }
    }

    pub(super) const fn in_path(self) -> Self {
        Self { in_path: true, ..self }
    }
}

/// The source of a template variable.
#[derive(Clone, Debug)]
pub(super) enum Variable {
    /// An entered field.
    Field(Field),
    /// A value of a provider's response.
    Captured(Capture),
    /// Anything else.
    Extra(Extra),
    /// The values that the options of a field set.
    Set(Field, Vec<String>),
    /// A value of the installation.
    Builtin(&'static str),
}

/// The variables of the templates in one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    fields: Vec<Field>,
    captured: Vec<Capture>,
    extra: Vec<Extra>,
}

impl Names {
    /// Connection fields, the fields of a scheme, and all values captured when connecting with it.
    pub(super) fn connected(toolkit: &Toolkit, scheme: Scheme) -> Self {
        let mut names = Self::entered(toolkit, scheme);
        if let Some(oauth) = toolkit.oauth(scheme) {
            names.captured.extend(oauth.response.capture.iter().cloned());
            names.captured.extend(oauth.callback.capture.iter().cloned());
            names.captured.extend(oauth.steps.iter().flat_map(|step| step.response.capture.iter().cloned()));
        }
        if let (Scheme::OAuth1, Some(oauth1)) = (scheme, &toolkit.oauth1) {
            names.captured.extend(oauth1.capture.iter().cloned());
        }
        if let Some(tokens) = toolkit.token_scheme(scheme) {
            names.captured.extend(tokens.steps.iter().flat_map(|step| step.response.capture.iter().cloned()));
        }
        names.captured.extend(toolkit.post_connect_of(scheme).flat_map(|(_, step)| step.capture.iter().cloned()));
        names
    }

    /// Connection fields and those of a scheme.
    pub(super) fn entered(toolkit: &Toolkit, scheme: Scheme) -> Self {
        let mut fields = toolkit.fields.clone();
        fields.extend(toolkit.own_fields(scheme));
        Self { fields, ..Self::default() }
    }

    /// The variables of any account of the toolkit, in any scheme.
    pub(super) fn any(toolkit: &Toolkit) -> Self {
        let mut all = Self { fields: toolkit.fields.clone(), ..Self::default() };
        for scheme in toolkit.schemes() {
            let names = Self::connected(toolkit, scheme);
            all.fields.extend(names.fields.into_iter().skip(toolkit.fields.len()));
            all.captured.extend(names.captured);
        }
        all
    }

    /// Adds variables.
    pub(super) fn with(mut self, extra: &[Extra]) -> Self {
        self.extra.extend(extra);
        self
    }

    /// Adds the captured values of another response.
    pub(super) fn and_captured(&mut self, captured: &[Capture]) {
        self.captured.extend(captured.iter().cloned());
    }

    /// Looks up a name.
    pub(super) fn get(&self, name: &str) -> Option<Variable> {
        if let Some((_, value)) = BUILTIN_VARIABLES.iter().find(|(known, _)| *known == name) {
            return Some(Variable::Builtin(value));
        }
        if let Some(field) = self.fields.iter().find(|field| field.name == name) {
            return Some(Variable::Field(field.clone()));
        }
        for field in &self.fields {
            let values: Vec<String> =
                field.options.iter().filter_map(|option| option.sets.get(name).cloned()).collect();
            if !values.is_empty() {
                return Some(Variable::Set(field.clone(), values));
            }
        }
        if let Some(capture) = self.captured.iter().find(|capture| capture.name == name) {
            return Some(Variable::Captured(capture.clone()));
        }
        self.extra.iter().find(|extra| extra.name == name).map(|extra| Variable::Extra(*extra))
    }

    /// A list for messages: `{a}`, `{b}`.
    pub(super) fn list(&self) -> String {
        let mut names: Vec<&str> = self.extra.iter().map(|extra| extra.name).collect();
        names.extend(self.fields.iter().map(|field| field.name.as_str()));
        names.extend(
            self.fields
                .iter()
                .flat_map(|field| &field.options)
                .flat_map(|option| option.sets.keys().map(String::as_str)),
        );
        names.extend(self.captured.iter().map(|capture| capture.name.as_str()));
        let mut listed: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            let shown = format!("`{{{name}}}`");
            if !listed.contains(&shown) {
                listed.push(shown);
            }
        }
        if listed.is_empty() { "none".to_owned() } else { listed.join(", ") }
    }
}
