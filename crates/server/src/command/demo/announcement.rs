//! What the demonstration prints once it answers.

use std::fmt;

use serde::Serialize;
use trunkline_model::Secret;

/// The text for a person, and the same as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Announcement {
    endpoint: String,
    key: String,
    servers: Vec<String>,
    /// The line that adds the endpoint to Claude Code.
    claude_code: String,
    /// A call of one tool.
    curl: String,
}

impl Announcement {
    pub(super) fn new(public_url: &str, key: &Secret, servers: Vec<String>) -> Self {
        let endpoint = format!("{public_url}/mcp/demo");
        let key = key.expose().to_owned();
        Self {
            claude_code: format!(
                "claude mcp add --transport http trunkline {endpoint} --header \"Authorization: Bearer {key}\""
            ),
            curl: curl(&endpoint, &key),
            endpoint,
            key,
            servers,
        }
    }
}

/// One request of revision 2026-07-28: it needs no session.
fn curl(endpoint: &str, key: &str) -> String {
    let body = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sample__add","#,
        r#""arguments":{"a":2,"b":3},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
        r#""io.modelcontextprotocol/clientCapabilities":{}}}}"#,
    );
    format!(
        "curl -s {endpoint} -H 'Authorization: Bearer {key}' \\\n  \
         -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\\n  \
         -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: sample__add' \\\n  \
         -d '{body}'"
    )
}

impl fmt::Display for Announcement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "Trunkline is ready. Servers in the profile `demo`: {}",
            self.servers.join(", ")
        )?;
        writeln!(formatter, "\n  endpoint  {}\n  key       {}", self.endpoint, self.key)?;
        writeln!(formatter, "\nAdd it to Claude Code:\n\n{}", self.claude_code)?;
        writeln!(formatter, "\nCall a tool by hand:\n\n{}", self.curl)?;
        write!(formatter, "\nCtrl-C stops it.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_claude_code_is_ready_to_paste() {
        let announcement = Announcement::new("http://127.0.0.1:7400", &Secret::new("tlk_x"), Vec::new());
        assert!(announcement.to_string().lines().any(|line| line
            == "claude mcp add --transport http trunkline http://127.0.0.1:7400/mcp/demo --header \"Authorization: Bearer tlk_x\""));
    }

    #[test]
    fn the_body_of_the_call_is_json_and_fits_its_headers() {
        let text = curl("http://127.0.0.1:7400/mcp/demo", "tlk_x");
        let body = text.split("-d '").nth(1).unwrap().trim_end_matches('\'');
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert!(text.contains(&format!("Mcp-Name: {}", body["params"]["name"].as_str().unwrap())));
        assert!(text.contains(&format!("Mcp-Method: {}", body["method"].as_str().unwrap())));
    }
}
