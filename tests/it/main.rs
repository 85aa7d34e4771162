//! The one integration binary: the hub as its users meet it.
//!
//! `#[cfg(test)]` marks the functions that the tests share as test code.

#[cfg(test)]
mod absent;
#[cfg(test)]
mod access;
mod any_json;
#[cfg(test)]
mod asked_aside;
#[cfg(test)]
mod asking_back;
mod audit;
#[cfg(test)]
mod authorization;
#[cfg(test)]
mod changed_headers;
#[cfg(test)]
mod children;
#[cfg(test)]
mod clients_claude;
#[cfg(test)]
mod clients_codex;
#[cfg(test)]
mod clients_inspector;
#[cfg(test)]
mod clients_mcp_remote;
#[cfg(test)]
mod clients_python;
#[cfg(test)]
mod clients_rust;
#[cfg(test)]
mod clients_typescript;
#[cfg(test)]
mod compression;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod counters;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod first_requests;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod losslessness;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod resumption;
#[cfg(test)]
mod scale;
mod scim;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod sign_in_account;
#[cfg(test)]
mod sign_in_oidc;
#[cfg(test)]
mod target;
#[cfg(test)]
mod tasks;
#[cfg(test)]
mod upstream_connections;
#[cfg(test)]
mod upstream_identity;
#[cfg(test)]
mod upstream_oauth;
#[cfg(test)]
mod upstream_rust;
