//! The endpoints: one entry of `profiles`.

use std::collections::{BTreeMap, HashMap};

use globset::Glob;
use indexmap::IndexMap;
use trunkline_model::{
    ProfileAuth, ProfileName, ProfileScope, ProfileSpec, Selection, ServerName, ToolFilter, fold,
};
use trunkline_oauth::scope;

use super::super::Config;
use super::super::file::{File, Profile};
use super::super::path::Path;
use super::super::problem::suggestion;
use super::Resolver;
use super::http::is_local;

/// The longest name of a tool before its prefix, in characters.
const LONGEST_TOOL_NAME: usize = 46;
/// The longest name of a scope, in characters.
const LONGEST_SCOPE: usize = 60;

impl Resolver<'_> {
    pub(super) fn profiles(&mut self, file: &File, config: &mut Config) {
        for (name, profile) in &file.profiles {
            let path = Path::root().key("profiles").key(name);
            let name =
                ProfileName::new(name).map_err(|fault| self.refuse(&path, fault.to_string(), None)).ok();
            let servers = self.selections(profile, &path.key("servers"), file);
            self.models(&profile.models, &path.key("models"), file);
            let Some(name) = name else { continue };
            let auth = profile.auth.unwrap_or_default();
            self.exposure(&name, auth, config, &path);
            if let Some(description) = &profile.description {
                config.profile_descriptions.insert(name.clone(), description.clone());
            }
            let scopes = self.profile_scopes(profile, &path.key("scopes"));
            let spec = ProfileSpec {
                scopes,
                name: name.clone(),
                auth,
                members: profile.members.clone(),
                servers,
                models: profile.models.clone(),
            };
            config.profiles.insert(name, spec);
        }
    }

    fn selections(&mut self, profile: &Profile, path: &Path, file: &File) -> IndexMap<ServerName, Selection> {
        let known: Vec<&str> = file.servers.keys().map(String::as_str).collect();
        let mut selections = IndexMap::new();
        let mut prefixes: HashMap<String, &str> = HashMap::new();
        for (server, selection) in &profile.servers {
            let path = path.key(server);
            if !known.contains(&server.as_str()) {
                let message = format!("there is no server `{server}` in `servers`");
                self.refuse(&path, message, suggestion(server, &known));
                continue;
            }
            let selection = selection.clone().unwrap_or_default();
            self.selection(&selection, &path);
            let prefix = selection.prefix.as_deref().unwrap_or(server);
            if let Some(other) = prefixes.insert(fold(prefix), server)
                && !prefix.is_empty()
            {
                let message =
                    format!("has the same prefix as the server `{other}` once case and `-` are folded");
                self.refuse(&path, message, Some("give one of them another `prefix`".to_owned()));
            }
            if let Ok(server) = ServerName::new(server) {
                selections.insert(server, selection);
            }
        }
        selections
    }

    fn selection(&mut self, selection: &Selection, path: &Path) {
        if let Some(prefix) = &selection.prefix
            && !prefix.is_empty()
            && ServerName::new(prefix).is_err()
        {
            let help = "a prefix has 1 to 40 of the characters a-z, A-Z, 0-9, `-` and `_`, starts with a letter or \
                        digit, does not end with `_` and has no `__`; `\"\"` means none";
            self.refuse(&path.key("prefix"), "cannot be a prefix", Some(help.to_owned()));
        }
        self.filter(&selection.tools, &path.key("tools"));
        self.filter(&selection.prompts, &path.key("prompts"));
        self.filter(&selection.resources, &path.key("resources"));
        self.renames(&selection.rename, &path.key("rename"));
    }

    fn filter(&mut self, filter: &ToolFilter, path: &Path) {
        let lists =
            [("include", filter.include.as_deref().unwrap_or_default()), ("exclude", &filter.exclude)];
        for (key, globs) in lists {
            self.globs(globs, &path.key(key));
        }
    }

    fn globs(&mut self, globs: &[String], path: &Path) {
        for (index, glob) in globs.iter().enumerate() {
            if let Err(fault) = Glob::new(glob) {
                self.refuse(&path.index(index), format!("is not a glob: {}", fault.kind()), None);
            }
        }
    }

    /// Scopes that tokens need, which have to be something a token can have.
    fn profile_scopes(&mut self, profile: &Profile, path: &Path) -> BTreeMap<String, ProfileScope> {
        for (name, scope) in &profile.scopes {
            let path = path.key(name);
            if scope::OURS.contains(&name.as_str()) {
                self.refuse(&path, "is a scope of the hub itself", Some("give it another name".to_owned()));
            } else if !scope::is_name(name) || name.len() > LONGEST_SCOPE {
                let help = format!(
                    "a scope has 1 to {LONGEST_SCOPE} characters of ASCII, without spaces, quotes and backslashes"
                );
                self.refuse(&path, "cannot be a scope", Some(help));
            }
            self.globs(&scope.tools, &path.key("tools"));
        }
        if !profile.scopes.is_empty() && profile.auth.unwrap_or_default() != ProfileAuth::Oauth {
            self.note(format!(
                "{path}: nothing needs them, because `auth` is not `oauth`: they are of access tokens"
            ));
        }
        profile.scopes.clone()
    }

    fn renames(&mut self, renames: &BTreeMap<String, String>, path: &Path) {
        let mut shown: HashMap<String, &str> = HashMap::new();
        for (original, name) in renames {
            let path = path.key(original);
            let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
            if name.is_empty() || name.len() > LONGEST_TOOL_NAME || !name.chars().all(legal) {
                let help = format!(
                    "a shown name has 1 to {LONGEST_TOOL_NAME} of the characters a-z, A-Z, 0-9, `-` and `_`"
                );
                self.refuse(&path, "is renamed to what cannot be a tool's name", Some(help));
            }
            if let Some(other) = shown.insert(fold(name), original) {
                let message = format!("gets the same name as `{other}` once case and `-` are folded");
                self.refuse(&path, message, None);
            }
        }
    }

    fn models(&mut self, models: &[String], path: &Path, file: &File) {
        let known: Vec<&str> = file.routes.keys().map(String::as_str).collect();
        for (index, model) in models.iter().enumerate() {
            if !known.contains(&model.as_str()) {
                let written = self.places.written(&path.index(index)).to_owned();
                let message = format!("there is no route `{written}` in `routes`");
                self.refuse(&path.index(index), message, suggestion(&written, &known));
            }
        }
    }

    /// Says who can reach a profile that asks nobody.
    fn exposure(&mut self, name: &ProfileName, auth: ProfileAuth, config: &Config, path: &Path) {
        let on_network = !config.listen.ip().is_loopback();
        match auth {
            ProfileAuth::None if on_network && !config.unauthenticated_network => {
                let message = format!(
                    "is `none`, and {} is not a loopback address: whoever reaches it could call every tool of `{name}`",
                    config.listen
                );
                let help = "use `auth: api_key`, or write `unauthenticated_network: allowed`".to_owned();
                self.refuse(&path.key("auth"), message, Some(help));
            }
            ProfileAuth::None
                if on_network || config.public_url.as_ref().is_some_and(|url| !is_local(url)) =>
            {
                self.note(format!(
                    "{path}: whoever reaches the hub may call every tool, because `auth` is `none`"
                ));
            }
            ProfileAuth::Oauth | ProfileAuth::ApiKey | ProfileAuth::None => {}
        }
    }
}
