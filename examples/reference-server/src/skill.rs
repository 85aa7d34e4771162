//! The skills extension, SEP-2640: one skill, whose files are resources too.

use rmcp::ErrorData;
use rmcp::model::{DIRECTORY_MIME_TYPE, Resource, Skill, SkillFrontmatter, SkillResource, SkillResources};
use serde_json::json;

const DIRECTORY: &str = "skill://greeting";
const REFERENCES: &str = "skill://greeting/references";
const NAME: &str = "greeting";
const DESCRIPTION: &str = "Greets people in their own language.";

/// A file of a skill.
pub(crate) struct SkillFile {
    pub(crate) uri: String,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) text: &'static str,
    directory: &'static str,
}

pub(crate) fn files() -> impl Iterator<Item = SkillFile> {
    [
        SkillFile {
            uri: format!("{DIRECTORY}/SKILL.md"),
            name: NAME,
            description: DESCRIPTION,
            text: include_str!("../skills/greeting/SKILL.md"),
            directory: DIRECTORY,
        },
        SkillFile {
            uri: format!("{REFERENCES}/phrases.md"),
            name: "phrases.md",
            description: "Phrases to greet with.",
            text: include_str!("../skills/greeting/references/phrases.md"),
            directory: REFERENCES,
        },
    ]
    .into_iter()
}

pub(crate) fn skills() -> Vec<Skill> {
    let manifest = files().map(|file| SkillResource::from_bytes(file.uri, file.text.as_bytes())).collect();
    let frontmatter = SkillFrontmatter::new(NAME, DESCRIPTION);
    vec![Skill::new(format!("{DIRECTORY}/SKILL.md"), frontmatter, SkillResources::Files(manifest))]
}

/// # Errors
/// `-32602` for a URI that is none of a skill.
pub(crate) fn skill(uri: &str) -> Result<Skill, ErrorData> {
    skills()
        .into_iter()
        .find(|skill| skill.uri == uri)
        .ok_or_else(|| ErrorData::invalid_params("there is no such skill", Some(json!({ "uri": uri }))))
}

/// What is directly in a directory.
///
/// # Errors
/// `-32602` for what is no directory.
pub(crate) fn directory(uri: &str) -> Result<Vec<Resource>, ErrorData> {
    let uri = uri.trim_end_matches('/');
    let mut children: Vec<Resource> = files()
        .filter(|file| file.directory == uri)
        .map(|file| {
            Resource::new(file.uri, file.name)
                .with_description(file.description)
                .with_mime_type("text/markdown")
        })
        .collect();
    if uri == DIRECTORY {
        children.push(Resource::new(REFERENCES, "references").with_mime_type(DIRECTORY_MIME_TYPE));
    }
    if children.is_empty() {
        return Err(ErrorData::invalid_params("this is no directory", Some(json!({ "uri": uri }))));
    }
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skill_is_valid_and_its_frontmatter_is_that_of_its_file() {
        let skill = skill("skill://greeting/SKILL.md").unwrap();
        skill.validate().unwrap();
        let file = files().next().unwrap();
        assert!(file.text.contains(&format!("name: {NAME}\ndescription: {DESCRIPTION}\n---\n")));
    }

    #[test]
    fn a_file_is_no_directory() {
        assert_eq!(directory("skill://greeting/SKILL.md").unwrap_err().code.0, -32602);
        assert_eq!(directory(DIRECTORY).unwrap().len(), 2);
        assert_eq!(directory(REFERENCES).unwrap().len(), 1);
    }
}
