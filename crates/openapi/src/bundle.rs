//! Joins a document with the files that it refers to.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The member that has the other files.
const FILES: &str = "x-files";

/// The document with other files in it, by their paths beside it. References to them become references within it; one to
/// a file that is not among them stays, and an operation that needs it is left out.
pub fn bundle(document: Value, files: BTreeMap<String, Value>) -> Value {
    if files.is_empty() {
        return document;
    }
    let names: Vec<String> = files.keys().map(|name| normal("", name)).collect();
    let mut document = document;
    rewrite(&mut document, "", None, &names);
    let mut others = Map::new();
    for (name, mut value) in files {
        let name = normal("", &name);
        rewrite(&mut value, folder(&name), Some(&name), &names);
        others.insert(name, value);
    }
    if let Value::Object(members) = &mut document {
        members.insert(FILES.to_owned(), others.into());
    }
    document
}

/// Rewrites the references of a file.
fn rewrite(value: &mut Value, folder: &str, own: Option<&str>, names: &[String]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, folder, own, names)),
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                match member {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(within) = within(reference, folder, own, names) {
                            *reference = within;
                        }
                    }
                    member => rewrite(member, folder, own, names),
                }
            }
        }
        _ => {}
    }
}

/// The reference within the joined document.
fn within(reference: &str, folder: &str, own: Option<&str>, names: &[String]) -> Option<String> {
    let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let name = if file.is_empty() { own?.to_owned() } else { normal(folder, file) };
    let is_known = names.contains(&name);
    is_known.then(|| format!("#/{FILES}/{}{fragment}", name.replace('~', "~0").replace('/', "~1").replace('%', "%25")))
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A path without `.` and `..`.
fn normal(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
