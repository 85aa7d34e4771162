//! SCIM 2.0 (RFC 7643, RFC 7644): a directory provisions users and groups.

/// What the directory's names of users are kept under, and its groups.
pub(crate) const SOURCE: &str = "scim";
