//! The JSON Schema of the configuration file.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::Map;

use super::file::File;

/// The JSON Schema (draft 2020-12) that `trunkline schema` prints and every file is checked against.
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    // what a reader looks for first stands first
    let mut ordered = Map::new();
    for key in ["$schema", "title", "description"] {
        if let Some(value) = schema.remove(key) {
            ordered.insert(key.to_owned(), value);
        }
    }
    if let Some(rest) = schema.as_object() {
        ordered.extend(rest.clone());
    }
    ordered.into()
}
