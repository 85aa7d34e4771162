//! Who is asking: a key or token becomes a [`Caller`](trunkline_model::Caller).
//!
//! - [`keys`] mints API keys and recognises one by its form.
//! - [`Resource`] is the protected resource of OAuth: the one place that
//!   makes a caller, from credentials alone.
//! - [`metadata`] tells clients which authorization server to ask.

pub mod keys;
pub mod metadata;
pub mod resource;

pub use resource::{Refused, Resource};
