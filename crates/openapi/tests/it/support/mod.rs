//! Imports documents and makes requests of their tools.

pub mod decode;
pub mod rules;

use std::sync::Arc;

use serde_json::{Map, Value, json};
use switchboard_catalog::{Catalog, ToolRow, Toolkit};
use switchboard_openapi::{Auth, Import, ImportError, Options, Previous, import};
use switchboard_tools::{ArgumentCheck, File, Files, Mistake, ToolRequest, build, is_no_file};

/// An imported toolkit.
pub struct Imported {
    pub import: Import,
    pub toolkit: Arc<Toolkit>,
}

/// How documents of tests are imported: a bearer token at an address of its own.
pub fn options() -> Options {
    Options {
        slug: "acme".to_owned(),
        date: "20261201".to_owned(),
        source: "acme.json".to_owned(),
        base_url: Some("https://api.acme.test/v1".to_owned()),
        auth: Some(Auth::Bearer),
        ..Options::default()
    }
}

/// A document with these paths.
pub fn document(paths: Value) -> Value {
    json!({ "openapi": "3.1.0", "info": { "title": "Acme", "version": "1" }, "paths": paths })
}

/// A document with one operation.
pub fn with_operation(method: &str, path: &str, operation: Value) -> Value {
    document(json!({ path: { method: operation } }))
}

/// A document with a POST whose body has this schema.
pub fn with_body(schema: &Value, schemas: Value) -> Value {
    let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    let mut document = with_operation("post", "/things", json!({ "operationId": "createThing", "requestBody": body }));
    document["components"] = json!({ "schemas": schemas });
    document
}

pub fn try_import(document: Value, options: &Options) -> Result<Imported, ImportError> {
    let import = import(document, &Previous::default(), options)?;
    let toolkit = loaded(&import, &options.slug);
    Ok(Imported { import, toolkit })
}

/// The toolkit as a server loads it.
pub fn loaded(import: &Import, slug: &str) -> Arc<Toolkit> {
    let mut catalog = Catalog::default();
    catalog.add_with_tools(slug, &import.toolkit, &import.tools).unwrap_or_else(|error| panic!("{error}"))
}

pub fn imported(document: Value) -> Imported {
    try_import(document, &options()).unwrap_or_else(|error| panic!("{error}"))
}

impl Imported {
    /// The only tool.
    pub fn tool(&self) -> &ToolRow {
        assert_eq!(self.toolkit.tools().len(), 1, "{:?}", self.import.report);
        &self.toolkit.tools()[0]
    }

    pub fn slugs(&self) -> Vec<&str> {
        self.toolkit.tools().iter().map(|tool| tool.slug.as_str()).collect()
    }

    /// Why operations were left out, as `GET /x: reason`.
    pub fn skipped(&self) -> Vec<String> {
        self.import.report.skipped.iter().map(|skipped| format!("{}: {}", skipped.operation, skipped.reason)).collect()
    }
}

pub fn schema(tool: &ToolRow) -> Value {
    serde_json::from_str(tool.input_schema.get()).unwrap()
}

pub fn output(tool: &ToolRow) -> Value {
    serde_json::from_str(tool.output_schema.get()).unwrap()
}

/// The request of a call, built as the server builds it.
pub fn request(tool: &ToolRow, arguments: &Value) -> Result<ToolRequest, Vec<Mistake>> {
    let arguments: Map<String, Value> = arguments.as_object().cloned().unwrap_or_default();
    let files = files(tool, &arguments);
    let checked = ArgumentCheck::new(tool).unwrap().check(arguments)?;
    build(tool, &checked, &files).map_err(|mistake| vec![mistake])
}

/// A file for each argument that is one.
fn files(tool: &ToolRow, arguments: &Map<String, Value>) -> Files {
    let is_file = |name: &String| {
        let argument = tool.input.get(name);
        argument.is_some_and(|argument| argument.schema.get("file_uploadable") == Some(&Value::Bool(true)))
    };
    let file = || File { name: "a.txt".to_owned(), media_type: "text/plain".to_owned(), bytes: "FILE".into() };
    arguments
        .iter()
        .filter(|(name, value)| is_file(name) && !is_no_file(value))
        .map(|(name, _)| (name.clone(), file()))
        .collect()
}

/// A request in a line: method, path, query and body.
pub fn line(request: &ToolRequest) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.query).finish();
    let body = request.body.as_ref().map(|body| String::from_utf8_lossy(&body.bytes).into_owned()).unwrap_or_default();
    let query = if query.is_empty() { query } else { format!("?{query}") };
    format!("{} {}{query} {body}", request.method, request.endpoint).trim_end().to_owned()
}
