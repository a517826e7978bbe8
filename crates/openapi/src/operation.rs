//! The operations of a document.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::options::{Options, fits};
use crate::reference::Document;

/// Methods with operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation<'d> {
    /// In upper case.
    pub(crate) method: String,
    pub(crate) path: &'d str,
    pub(crate) id: Option<&'d str>,
    pub(crate) tags: Vec<&'d str>,
    pub(crate) value: &'d Map<String, Value>,
    /// Those of the path under those of the operation; `Err` says why one cannot be read.
    pub(crate) parameters: Result<Vec<&'d Value>, String>,
    /// Its own, or those of its path; none if the root's are used.
    pub(crate) servers: Option<&'d Vec<Value>>,
    pub(crate) security: Option<&'d Value>,
}

impl Operation<'_> {
    /// Names it in reports and in the lock file.
    pub(crate) fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.value.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the options want it.
    pub(crate) fn is_wanted(&self, options: &Options) -> bool {
        let matches = |pattern: &String| {
            let names = self.tags.iter().copied().chain([self.path]).chain(self.id);
            names.into_iter().any(|name| fits(pattern, name)) || fits(pattern, &self.key())
        };
        (options.include.is_empty() || options.include.iter().any(matches)) && !options.exclude.iter().any(matches)
    }
}

/// All operations, in the order of their paths.
pub(crate) fn operations(document: &Document) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    let root_security = document.root.get("security");
    for (path, item) in document.root.get("paths").and_then(Value::as_object).into_iter().flatten() {
        let Some(item) = document.value(item).and_then(Value::as_object) else { continue };
        for method in METHODS {
            let Some(value) = item.get(method).and_then(|value| document.value(value)?.as_object()) else { continue };
            let servers = [value.get("servers"), item.get("servers")].into_iter().flatten();
            operations.push(Operation {
                method: method.to_ascii_uppercase(),
                path,
                id: value.get("operationId").and_then(Value::as_str).filter(|id| !id.trim().is_empty()),
                tags: value
                    .get("tags")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect(),
                value,
                parameters: parameters(document, item.get("parameters"), value.get("parameters")),
                servers: servers.filter_map(Value::as_array).find(|servers| !servers.is_empty()),
                security: value.get("security").or(root_security),
            });
        }
    }
    operations
}

/// Parameters of the operation, and those of the path that it does not replace by place and name.
fn parameters<'d>(
    document: &'d Document,
    of_path: Option<&'d Value>,
    own: Option<&'d Value>,
) -> Result<Vec<&'d Value>, String> {
    let mut found: Vec<&'d Value> = Vec::new();
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for list in [of_path, own].into_iter().flatten() {
        for parameter in list.as_array().into_iter().flatten() {
            let parameter = document.resolve(parameter).map_err(|error| error.to_string())?.value;
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            if let Some(index) = seen.get(&(text("in"), text("name"))) {
                found[*index] = parameter;
            } else {
                seen.insert((text("in"), text("name")), found.len());
                found.push(parameter);
            }
        }
    }
    Ok(found)
}
