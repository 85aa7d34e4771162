//! `providers` and `routes`: checked, and not used yet.

use super::super::file::File;
use super::super::path::Path;
use super::super::problem::suggestion;
use super::Resolver;

impl Resolver<'_> {
    pub(super) fn providers(&mut self, file: &File) {
        if !file.providers.is_empty() || !file.routes.is_empty() {
            self.note("providers and routes are read but not served yet");
        }
        for (name, provider) in &file.providers {
            let path = Path::root().key("providers").key(name);
            if provider.kind.trim().is_empty() {
                self.refuse(&path.key("kind"), "is empty", None);
            }
            if let Some(api_key) = &provider.api_key {
                self.secret(api_key, &path.key("api_key"));
            }
            if let Some(base_url) = &provider.base_url {
                self.url(base_url, &path.key("base_url"));
            }
        }
        self.routes(file);
    }

    fn routes(&mut self, file: &File) {
        let known: Vec<&str> = file.providers.keys().map(String::as_str).collect();
        for (name, route) in &file.routes {
            let path = Path::root().key("routes").key(name).key("targets");
            for (index, target) in route.targets.iter().enumerate() {
                let path = path.index(index);
                if !known.contains(&target.provider.as_str()) {
                    let written = self.places.written(&path.key("provider")).to_owned();
                    let message = format!("there is no provider `{written}` in `providers`");
                    self.refuse(&path.key("provider"), message, suggestion(&written, &known));
                }
                if target.model.trim().is_empty() {
                    self.refuse(&path.key("model"), "is empty", None);
                }
                if target.weight == Some(0) {
                    self.refuse(&path.key("weight"), "is 0; leave the target out instead", None);
                }
            }
        }
    }
}
