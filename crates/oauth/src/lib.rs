//! Who is asking: a key or token becomes a [`Caller`](trunkline_model::Caller).
//!
//! - [`keys`] mints API keys and other opaque credentials, and recognises one by its form.
//! - [`People`] are everybody the hub knows; [`login`] says who of them sits
//!   in front of a browser.
//! - [`Resource`] is the protected resource of OAuth: the one place that
//!   makes a caller, from credentials alone.
//! - [`client`] is the hub as a client of upstream servers' authorization servers.
//! - [`absent`] ends what is kept for what is no longer configured.
//! - [`page`] renders what a person sees.
//! - [`metadata`] tells clients which authorization server to ask.

pub mod absent;
mod base;
pub mod client;
mod foreign_jwt;
pub mod keys;
pub mod login;
pub mod metadata;
mod mirror;
pub mod page;
mod people;
pub mod resource;
pub mod scim;
pub mod scope;
pub mod server;
pub mod tokens;
mod unambiguous;
mod uses;

pub use base::Base;
pub use people::People;
pub use resource::{Refused, Resource};
pub use tokens::Tokens;
