//! Our authorization server.

mod client_metadata;
mod form;
mod pkce;
mod redirect;
mod scope;
