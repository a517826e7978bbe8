//! How MCP clients are configured with a URL and a header.

use clap::ValueEnum;
use serde_json::json;

/// A client whose configuration is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// Claude Code.
    ClaudeCode,
    /// Claude Desktop, with the program mcp-remote.
    ClaudeDesktop,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    Vscode,
    /// The Agents SDK, for Python.
    AgentsSdk,
    /// `LangChain`, for Python.
    Langchain,
}

impl Client {
    /// The chosen one, or all.
    pub(super) fn chosen(client: Option<Self>) -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied().filter(move |known| client.is_none_or(|client| client == *known))
    }

    /// Its name as an argument.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
            Self::AgentsSdk => "agents-sdk",
            Self::Langchain => "langchain",
        }
    }

    /// Where its configuration goes.
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code: run",
            Self::ClaudeDesktop => "Claude Desktop: claude_desktop_config.json",
            Self::Cursor => "Cursor: .cursor/mcp.json",
            Self::Vscode => "Visual Studio Code: .vscode/mcp.json",
            Self::AgentsSdk => "Agents SDK (Python)",
            Self::Langchain => "LangChain (Python, langchain-mcp-adapters)",
        }
    }

    /// Its configuration.
    pub(super) fn configuration(self, url: &str, key: &str) -> String {
        let pretty = |value: serde_json::Value| format!("{value:#}");
        let headers = json!({ "x-api-key": key });
        match self {
            Self::ClaudeCode => {
                format!("claude mcp add --transport http switchboard {url} --header \"x-api-key: {key}\"")
            }
            Self::ClaudeDesktop => pretty(json!({ "mcpServers": { "switchboard": {
                "command": "npx",
                "args": ["-y", "mcp-remote", url, "--header", "x-api-key:${SWITCHBOARD_KEY}"],
                "env": { "SWITCHBOARD_KEY": key },
            } } })),
            Self::Cursor => pretty(json!({ "mcpServers": { "switchboard": { "url": url, "headers": headers } } })),
            Self::Vscode => {
                pretty(json!({ "servers": { "switchboard": { "type": "http", "url": url, "headers": headers } } }))
            }
            Self::AgentsSdk => format!(
                "from agents.mcp import MCPServerStreamableHttp\n\n\
                 server = MCPServerStreamableHttp(params={{\"url\": \"{url}\", \"headers\": {headers}}})"
            ),
            Self::Langchain => format!(
                "from langchain_mcp_adapters.client import MultiServerMCPClient\n\n\
                 client = MultiServerMCPClient({{\"switchboard\": {{\"transport\": \"streamable_http\", \
                 \"url\": \"{url}\", \"headers\": {headers}}}}})"
            ),
        }
    }
}
