//! The catalogue: one entry of `servers`.

use std::time::Duration;

use indexmap::IndexMap;
use trunkline_model::{Endpoint, ServerName, ServerSpec};

use super::super::Config;
use super::super::file::Server;
use super::super::path::Path;
use super::Resolver;

const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_mins(10);
const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_mins(5);

impl Resolver<'_> {
    pub(super) fn servers(&mut self, servers: &IndexMap<String, Server>, config: &mut Config) {
        for (name, server) in servers {
            let path = Path::root().key("servers").key(name);
            let name =
                ServerName::new(name).map_err(|fault| self.refuse(&path, fault.to_string(), None)).ok();
            let endpoint = self.endpoint(server, &path);
            let idle_timeout = self.duration(
                server.idle_timeout.as_deref(),
                DEFAULT_IDLE_TIMEOUT,
                &path.key("idle_timeout"),
            );
            let call_timeout = self.duration(
                server.call_timeout.as_deref(),
                DEFAULT_CALL_TIMEOUT,
                &path.key("call_timeout"),
            );
            let (Some(name), Some(endpoint)) = (name, endpoint) else { continue };
            if let Some(description) = &server.description {
                config.server_descriptions.insert(name.clone(), description.clone());
            }
            let spec = ServerSpec {
                name: name.clone(),
                endpoint,
                era: server.era.unwrap_or_default(),
                instances: server.instances.unwrap_or_default(),
                idle_timeout,
                call_timeout,
            };
            config.servers.insert(name, spec);
        }
    }

    fn endpoint(&mut self, server: &Server, path: &Path) -> Option<Endpoint> {
        match (&server.command, &server.url) {
            (Some(program), None) => {
                self.refuse_keys(path, &["headers", "auth", "transport"], "url");
                self.command(program, server, path).map(Endpoint::Stdio)
            }
            (None, Some(url)) => {
                self.refuse_keys(path, &["args", "env", "cwd"], "command");
                self.http(url, server, path).map(Endpoint::Http)
            }
            (Some(_), Some(_)) => {
                self.refuse(path, "has both `command` and `url`; a server is one or the other", None);
                None
            }
            (None, None) => {
                let help = "write `command: …` for a program, or `url: …` for a server on the network";
                self.refuse(path, "has neither `command` nor `url`", Some(help.to_owned()));
                None
            }
        }
    }

    /// Reports each of `keys` that is written although it belongs to the other kind of server.
    fn refuse_keys(&mut self, path: &Path, keys: &[&str], belongs_to: &str) {
        for key in keys {
            let path = path.key(key);
            if self.places.contains(&path) {
                self.refuse(&path, format!("belongs to a server with `{belongs_to}`"), None);
            }
        }
    }
}
