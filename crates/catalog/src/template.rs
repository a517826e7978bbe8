//! Templates: text with `{name}` variables, the only computation in a toolkit file.
//!
//! `{name}` is replaced by a value, `{{` is a literal `{`, and an unmatched `}` is literal. `/{name?}` is an
//! optional path segment: if the value is missing or empty, it is omitted with its `/`. Values are inserted
//! as they are and never expanded again, so that a value cannot name a variable.

use thiserror::Error;

/// Why a template could not be parsed or expanded. Never contains a variable's value.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TemplateError {
    /// A `{` without a `}`; a literal brace is written `{{`.
    #[error("`{{` at character {position} is not closed (a literal brace is written `{{{{`)")]
    Unclosed {
        /// Position of the brace, counted in characters from 1.
        position: usize,
    },
    /// The text between the braces is not `[a-z][a-z0-9_]*`.
    #[error("`{{{name}}}` is not a variable: names are lower-case letters, digits and `_`")]
    BadName {
        /// The text between the braces.
        name: String,
    },
    /// A variable with `?` that is not a whole path segment.
    #[error("`{{{name}?}}` must be a whole path segment, after a `/` and before a `/`, `?` or the end")]
    NoSegment {
        /// The variable.
        name: String,
    },
    /// A variable has no value.
    #[error("no value for `{{{name}}}`")]
    Missing {
        /// The variable.
        name: String,
    },
}

/// A template's parts, in order.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Part<'t> {
    /// Text to copy.
    Text(&'t str),
    /// Variable to replace.
    Variable(&'t str),
    /// Variable that is a whole path segment, with the `/` before it; omitted without a value.
    Segment(&'t str),
}

/// Replaces every variable of `template` with the result of `vars` for its name.
///
/// # Errors
/// [`TemplateError::Missing`] if `vars` returns `None`; the other variants for a malformed template, which
/// validation excludes for loaded toolkits.
pub fn expand(template: &str, vars: &dyn Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
    let mut expanded = String::with_capacity(template.len());
    for part in parts(template)? {
        match part {
            Part::Text(text) => expanded.push_str(text),
            Part::Variable(name) => {
                let Some(value) = vars(name) else {
                    return Err(TemplateError::Missing { name: name.to_owned() });
                };
                expanded.push_str(&value);
            }
            Part::Segment(name) => {
                if let Some(value) = vars(name).filter(|value| !value.is_empty()) {
                    expanded.push('/');
                    expanded.push_str(&value);
                }
            }
        }
    }
    Ok(expanded)
}

/// The names of a template's variables, without duplicates, in order of first appearance.
///
/// # Errors
/// [`TemplateError::Unclosed`] and [`TemplateError::BadName`].
pub fn variables(template: &str) -> Result<Vec<String>, TemplateError> {
    let mut names: Vec<String> = Vec::new();
    for part in parts(template)? {
        if let Part::Variable(name) | Part::Segment(name) = part
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Splits a template into text and variables.
pub(crate) fn parts(template: &str) -> Result<Vec<Part<'_>>, TemplateError> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(brace) = rest.find('{') {
        let (before, from_brace) = rest.split_at(brace);
        if let Some(after) = from_brace.strip_prefix("{{") {
            // Keeps the first of the two braces, drops the second.
            parts.push(Part::Text(&rest[..=brace]));
            rest = after;
            continue;
        }
        let Some((name, after)) = from_brace[1..].split_once('}') else {
            let bytes_before = template.len() - from_brace.len();
            let position = template[..bytes_before].chars().count() + 1;
            return Err(TemplateError::Unclosed { position });
        };
        let (before, part) = match name.strip_suffix('?') {
            // A whole path segment: `//` is not a path, and the following text must not join it.
            Some(name) if before.ends_with('/') && !before.ends_with("//") && ends_segment(after) => {
                (&before[..before.len() - 1], Part::Segment(name))
            }
            Some(name) => return Err(TemplateError::NoSegment { name: name.to_owned() }),
            None => (before, Part::Variable(name)),
        };
        if let Part::Variable(name) | Part::Segment(name) = part
            && !is_variable_name(name)
        {
            return Err(TemplateError::BadName { name: name.to_owned() });
        }
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(part);
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// Whether a path segment ends before this text.
fn ends_segment(after: &str) -> bool {
    after.is_empty() || after.starts_with(['/', '?'])
}

/// `[a-z][a-z0-9_]*`: names of fields, of captured values and of template variables.
pub(crate) fn is_variable_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(name: &str) -> Option<String> {
        (name == "site").then(|| "acme".to_owned())
    }

    #[test]
    fn variables_are_replaced_and_the_rest_is_kept() {
        let cases = [
            ("https://{site}.example.com/{site}", "https://acme.example.com/acme"),
            ("no variable", "no variable"),
            ("", ""),
            ("{{site}", "{site}"),
            ("{{{site}", "{acme"),
            ("{{{{", "{{"),
            ("a } b }}", "a } b }}"),
            ("{site}}", "acme}"),
            ("é{{ü{site}ö", "é{üacmeö"),
            ("https://x.example/a/{site?}/b", "https://x.example/a/acme/b"),
            ("https://x.example/a/{other?}/b", "https://x.example/a/b"),
            ("/a/{other?}?q=1", "/a?q=1"),
            ("/{other?}", ""),
        ];
        for (template, expected) in cases {
            assert_eq!(expand(template, &one).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn template_errors() {
        let part = "`{site?}` must be a whole path segment, after a `/` and before a `/`, `?` or the end";
        let cases = [
            ("{site", "`{` at character 1 is not closed (a literal brace is written `{{`)"),
            ("é {", "`{` at character 3 is not closed (a literal brace is written `{{`)"),
            ("{}", "`{}` is not a variable: names are lower-case letters, digits and `_`"),
            ("{Site}", "`{Site}` is not a variable: names are lower-case letters, digits and `_`"),
            ("{a b}", "`{a b}` is not a variable: names are lower-case letters, digits and `_`"),
            ("/a/{?}", "`{}` is not a variable: names are lower-case letters, digits and `_`"),
            ("{site?}", part),
            ("a{site?}", part),
            ("https://{site?}/x", part),
            ("/a/{site?}x", part),
            ("{other}", "no value for `{other}`"),
        ];
        for (template, message) in cases {
            let error = expand(template, &one).expect_err(template);
            assert_eq!(error.to_string(), message, "{template}");
        }
    }

    #[test]
    fn lists_each_variable_once() {
        let names = variables("{b}/{a}/{b}/{{c}").expect("well formed");
        assert_eq!(names, ["b", "a"]);
    }

    proptest! {
        /// Any text with doubled braces expands to itself without variable look-ups.
        #[test]
        fn escaped_text_is_literal(text in any::<String>()) {
            let escaped = text.replace('{', "{{");
            prop_assert_eq!(variables(&escaped), Ok(vec![]));
            prop_assert_eq!(expand(&escaped, &|_| None), Ok(text));
        }

        /// A value is inserted as it is, even if it looks like a template.
        #[test]
        fn values_are_not_scanned(
            before in "[^{]*", value in any::<String>(), after in "[^{]*", name in "[a-z][a-z0-9_]{0,9}",
        ) {
            let template = format!("{before}{{{name}}}{after}");
            let expanded = expand(&template, &|looked_up| (looked_up == name).then(|| value.clone()));
            prop_assert_eq!(expanded, Ok(format!("{before}{value}{after}")));
        }

        /// A template expands exactly when all of its variables have a value.
        #[test]
        fn variables_are_those_that_expansion_looks_up(template in "([a-z}]|\\{\\{|\\{[a-c]\\}|\\{){0,12}") {
            let looked_up = std::cell::RefCell::new(Vec::new());
            let expanded = expand(&template, &|name| {
                let mut looked_up = looked_up.borrow_mut();
                if !looked_up.iter().any(|known| known == name) {
                    looked_up.push(name.to_owned());
                }
                Some(String::new())
            });
            let listed = variables(&template);
            prop_assert_eq!(expanded.is_ok(), listed.is_ok());
            if let Ok(listed) = listed {
                prop_assert_eq!(listed, looked_up.into_inner());
            }
        }
    }
}
