//! Where the answer to an authorization request goes.

use crate::server::redirect;

/// A redirect URI of the client that asked, and what it wants back.
#[derive(Debug, Clone)]
pub(in crate::server) struct Answer {
    pub(in crate::server) redirect_uri: String,
    pub(in crate::server) state: Option<String>,
}

impl Answer {
    /// The URL to send the browser to; every answer names its issuer (RFC
    /// 9207 section 2).
    pub(in crate::server) fn location(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        if let Some(state) = &self.state {
            all.push(("state", state));
        }
        all.push(("iss", issuer));
        redirect::with_parameters(&self.redirect_uri, &all)
    }
}
