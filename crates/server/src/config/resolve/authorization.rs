//! The hub's own authorization server.

use trunkline_oauth::server::{AssertionIssuer, Settings};

use super::Resolver;
use crate::config::file::Authorization;
use crate::config::path::Path;

impl Resolver<'_> {
    pub(super) fn authorization(&mut self, file: &Authorization, path: &Path) -> Settings {
        Settings {
            registration: file.registration.unwrap_or(true),
            client_documents: file.client_documents.unwrap_or(true),
            pinned_documents: self.pinned_documents(file, &path.key("pinned_documents")),
            assertion_issuers: self.assertion_issuers(file, &path.key("assertion_issuers")),
        }
    }

    fn pinned_documents(&mut self, file: &Authorization, path: &Path) -> Vec<(String, String)> {
        let mut documents = Vec::new();
        for (url, file) in &file.pinned_documents {
            let path = path.key(url);
            if !url.starts_with("https://") {
                self.refuse(&path, "is not an https URL", None);
            }
            match std::fs::read_to_string(self.directory.join(file)) {
                Ok(text) => documents.push((url.clone(), text)),
                Err(error) => self.refuse(&path, format!("{file} cannot be read: {error}"), None),
            }
        }
        documents
    }

    fn assertion_issuers(&mut self, file: &Authorization, path: &Path) -> Vec<AssertionIssuer> {
        let mut issuers = Vec::new();
        for (index, issuer) in file.assertion_issuers.iter().enumerate() {
            let jwks_uri = self.url(&issuer.jwks_uri, &path.index(index).key("jwks_uri"));
            issuers.extend(jwks_uri.map(|url| AssertionIssuer {
                issuer: issuer.issuer.clone(),
                jwks_uri: url.into(),
                login_claim: issuer.login_claim.clone(),
            }));
        }
        issuers
    }
}
