//! Pages of a list (RFC 7644 section 3.4.2).

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::ScimError;
use super::filter::Filter;

/// Resources of one page.
const MOST: usize = 200;
const USUAL: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    filter: Option<String>,
    /// From 1; less is 1.
    start_index: Option<i64>,
    /// Less than 0 is 0.
    count: Option<i64>,
    #[serde(default)]
    excluded_attributes: String,
}

impl Asked {
    /// The page of those resources that are asked for.
    pub(super) fn page(&self, resources: Vec<Value>) -> Result<Value, ScimError> {
        let filter = self.filter.as_deref().map(Filter::parse).transpose()?;
        let fits = |resource: &Value| match (&filter, resource) {
            (Some(filter), Value::Object(resource)) => filter.fits(resource),
            (None, Value::Object(_)) => true,
            _ => false,
        };
        let found: Vec<Value> = resources.into_iter().filter(fits).collect();
        let start = usize::try_from(self.start_index.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
        let count = self.count.map_or(USUAL, |count| usize::try_from(count.max(0)).unwrap_or(MOST)).min(MOST);
        let total = found.len();
        let page: Vec<Value> = found
            .into_iter()
            .skip(start - 1)
            .take(count)
            .map(|resource| self.without_excluded(resource))
            .collect();
        Ok(json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": page.len(),
            "Resources": page,
        }))
    }

    pub(super) fn without_excluded(&self, mut resource: Value) -> Value {
        if let Value::Object(object) = &mut resource {
            for name in self.excluded_attributes.split(',').map(str::trim) {
                // Section 3.9: what is always returned stays.
                if !name.eq_ignore_ascii_case("id") && !name.eq_ignore_ascii_case("schemas") {
                    object.retain(|key, _| !key.eq_ignore_ascii_case(name));
                }
            }
        }
        resource
    }
}

/// The texts of `value` in the objects of a list.
pub(super) fn values_of(document: &Map<String, Value>, name: &str) -> Vec<String> {
    let items = super::body::member(document, name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.get("value")?.as_str()).map(ToOwned::to_owned).collect()
}
