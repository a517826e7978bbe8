//! The keys of `tools.toml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A `tools.toml`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolFile {
    /// The tools.
    #[serde(default)]
    pub tools: Vec<Tool>,
}

/// A tool: one request of the toolkit's API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "keys of a file, each with its own meaning")]
pub struct Tool {
    /// Name for programs and models: the toolkit's slug in upper case, `_`, and what the tool does, such as
    /// `GITHUB_CREATE_AN_ISSUE`. At most 64 characters.
    pub slug: String,
    /// Name for people.
    pub title: String,
    /// What the tool does, for a model. The first sentence names effect and object. At most 1,024 characters.
    pub description: String,
    /// Two to six sentences that a user could say who needs this tool.
    pub use_cases: Vec<String>,
    /// What the tool does to the provider's data.
    pub effect: Effect,
    /// A repeated call with the same arguments changes nothing more.
    #[serde(default)]
    pub idempotent: bool,
    /// The effect reaches others than the user and the provider, such as the recipients of a message. Default true.
    #[serde(default = "always")]
    pub open_world: bool,
    /// HTTP method.
    pub method: ToolMethod,
    /// Path below the toolkit's base URL, with arguments in braces: `/repos/{owner}/{repo}/issues`. An API on another
    /// of the toolkit's hosts is named by its whole URL.
    pub path: String,
    /// How the arguments of the body are written.
    #[serde(default)]
    pub body: BodyFormat,
    /// Media type of the body, where it is not the one of `body`: `application/merge-patch+json`. Not for a form or
    /// parts.
    pub content_type: Option<String>,
    /// JSON pointer of the object in the body that holds the arguments, such as `/data`.
    pub wrap: Option<String>,
    /// The body, with arguments in braces. An argument that it names goes only there; any other is added to it.
    pub template: Option<Value>,
    /// The query of a GraphQL API, whose variables are the arguments of the body.
    pub graphql: Option<String>,
    /// Query parameters that are always sent.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Headers that are always sent.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The arguments, by name.
    #[serde(default)]
    pub input: BTreeMap<String, Argument>,
    /// Scopes that allow the call: one of the lists is enough, of which all are needed. A link asks for the first one
    /// that it can ask for, unless another one is asked for anyway. An empty list at the end means that the call also
    /// works without any scope, for a part of the data such as what is public.
    #[serde(default)]
    pub scopes: Vec<Vec<String>>,
    /// The further token of an account (`[[oauth2.tokens]]`) that the toolkit's file sends with the call, such as the
    /// person's beside the app's. `scopes` are then user-level scopes, which that token must have.
    pub token: Option<String>,
    /// JSON pointer of the result in the provider's answer, below `/data` for GraphQL. The whole answer when omitted.
    pub result: Option<String>,
    /// Only the properties that `output` names are returned.
    #[serde(default)]
    pub trim: bool,
    /// Names of properties, at any depth, whose base64 is returned as the text that it is. What is no text stays.
    #[serde(default)]
    pub decode: Vec<String>,
    /// The answer is a file: the property `file` of the result.
    #[serde(default)]
    pub download: bool,
    /// Properties of the result, as JSON Schema. They describe; an answer is never refused for them.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub output: BTreeMap<String, Map<String, Value>>,
    /// When an answer with a successful status is a failure.
    pub error_when: Option<FailureRule>,
    /// How further results are fetched.
    pub paging: Option<Paging>,
    /// The tool that shows whether a call had its effect, for a call whose answer was lost.
    pub verify_with: Option<String>,
    /// The header of the provider's own idempotency keys. A call with one may be repeated.
    pub idempotency_header: Option<String>,
    /// JSON pointers of texts in the result that other people wrote, such as the body of a message. `*` is every item.
    #[serde(default)]
    pub untrusted: Vec<String>,
    /// How many calls this one counts for in the provider's limit. Default 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// Seconds after which the call ends without an answer, at most 300. Default 60.
    #[serde(default = "default_timeout")]
    pub timeout: u32,
    /// The tool will be removed.
    #[serde(default)]
    pub deprecated: bool,
    /// The tool that replaces this one. A tool with it is deprecated.
    pub replaced_by: Option<String>,
}

fn always() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn default_timeout() -> u32 {
    60
}

/// How further results are fetched.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// What the position is.
    pub style: PagingStyle,
    /// The argument with the position.
    pub argument: String,
    /// JSON pointer of the next position in the provider's answer, for `cursor`. Of a URL, the query parameter of the
    /// argument is the position.
    pub next: Option<String>,
    /// JSON pointer of the next position in the last result, for `cursor` without `next`.
    pub last_item: Option<String>,
    /// JSON pointer of the value that is `true` if there are further results, where the provider says so.
    pub has_more: Option<String>,
    /// JSON pointer of the list in the provider's answer.
    pub items: String,
    /// The argument with the number of results in a page.
    pub size: Option<String>,
}

/// What a position is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum PagingStyle {
    /// A text from the answer before.
    Cursor,
    /// The number of a page, from 1.
    Page,
    /// The number of results before it.
    Offset,
    /// A query parameter of the URL in the answer's header `Link` with `rel="next"`.
    Link,
}

/// What a tool does to the provider's data.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Adds something.
    Create,
    /// Changes something that exists.
    Update,
    /// Can delete something, or have an effect that cannot be undone.
    Destructive,
}

/// HTTP method of a tool.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ToolMethod {
    /// Arguments go to the query.
    Get,
    /// Arguments go to the body.
    Post,
    /// Arguments go to the body.
    Put,
    /// Arguments go to the body.
    Patch,
    /// Arguments go to the query, or with `in = "body"` to the body.
    Delete,
}

impl ToolMethod {
    /// Whether arguments without a place go to the body.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// How the arguments of a body are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// A JSON object.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`: a part for each argument.
    Multipart,
    /// The file, or the text, of the only argument in the body.
    File,
    /// No body.
    None,
}

/// An argument: where it goes, and its JSON Schema. All other keys are keywords of the schema.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Argument {
    /// Where it goes. By default: to the path if the path names it, else to the body or, for GET and DELETE, to the
    /// query.
    #[serde(rename = "in")]
    pub location: Option<Location>,
    /// Its name at the provider, if it is another one. In a body, `.` leads into an object: `message.raw`.
    #[serde(rename = "as")]
    pub wire_name: Option<String>,
    /// How a list or an object is written in a path, a query or a header.
    pub style: Option<Style>,
    /// The call needs it.
    #[serde(default)]
    pub required: bool,
    /// Members that an object must have: `required` of JSON Schema, whose name has another meaning here.
    #[serde(default)]
    pub required_members: Vec<String>,
    /// Its schema.
    #[serde(flatten)]
    pub schema: Map<String, Value>,
}

/// Where an argument goes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// A part of the path.
    Path,
    /// A query parameter.
    Query,
    /// A header.
    Header,
    /// A member of the body.
    Body,
}

/// How a list or an object is written in a path, a query or a header (the styles of `OpenAPI` 3.1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// `tag=a&tag=b`.
    Repeated,
    /// `tag=a,b`; of an object `size=width,1,height,2`.
    Commas,
    /// `tag=a b`.
    Spaces,
    /// `tag=a|b`.
    Pipes,
    /// `tag[]=a&tag[]=b`.
    Brackets,
    /// `filter[name]=a`.
    DeepObject,
    /// Each member of an object as a parameter of its own: `width=1&height=2`.
    Members,
    /// `width=1,height=2`, of an object in a path or a header.
    Assignments,
    /// JSON text: `filter={"name":"a"}`.
    Json,
}

impl Style {
    /// Whether values of this type of JSON Schema can be written so. Empty is a value of several types.
    pub(crate) fn is_for(self, kind: &str) -> bool {
        match self {
            Self::Repeated | Self::Spaces | Self::Pipes | Self::Brackets => kind != "object",
            Self::DeepObject | Self::Members | Self::Assignments => kind != "array",
            Self::Commas | Self::Json => true,
        }
    }
}

/// When an answer with a successful status is a failure.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureRule {
    /// JSON pointer of a value in the answer.
    pub pointer: String,
    /// The answer is a failure if the value is this one; when omitted, if there is a value.
    pub equals: Option<Value>,
    /// The answer is a failure if the value is not this one, also if there is none.
    pub differs: Option<Value>,
    /// JSON pointer of the provider's message.
    pub message: Option<String>,
}
