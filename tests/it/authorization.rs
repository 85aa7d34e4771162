//! The hub's own authorization server, as clients and the people in front of
//! browsers meet it.

mod admin_api;
mod clients;
mod code;
mod company;
mod conformance;
mod consent;
mod device;
mod documents;
mod localhost;
mod machines;
mod pages;
mod refresh;
mod registration;
mod stage;
mod step_up;
