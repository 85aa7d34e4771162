//! The JSON Schema of the configuration file.

use schemars::Schema;

use super::file::File;

/// The JSON Schema (draft 2020-12) that `trunkline schema` prints and every file is checked against.
pub fn schema() -> Schema {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>()
}
