//! Names of the measured servers in tables.

/// The server, unless `--switchboard` gives it another name.
pub const PRODUCT: &str = "switchboard";
/// Two durable rows.
pub const BASELINE_LINK: &str = "baseline_link";
/// One durable row.
pub const BASELINE_SESSION: &str = "baseline_session";
/// JSON of the same size from memory.
pub const STATIC: &str = "static JSON";
/// The upstream without a proxy.
pub const UPSTREAM: &str = "upstream";
/// A proxy that forwards a GET.
pub const BARE: &str = "bare proxy";
/// A proxy that takes the same POST as the product and wraps the answer of a GET.
pub const POST_FLOOR: &str = "POST proxy";

/// The same server's `proxy_execute`.
pub const PROXIED: &str = "proxy_execute";
/// The same server's list of tools.
pub const TOOL_LIST: &str = "500 tools listed";

/// Names that no build may have.
pub const FLOORS: [&str; 8] = [BASELINE_LINK, BASELINE_SESSION, STATIC, UPSTREAM, BARE, POST_FLOOR, PROXIED, TOOL_LIST];
