//! The harness of the integration tests: the hub as a child process, scripted
//! servers and model providers on loopback, raw protocol clients that keep
//! every byte, and the pinned npm and PyPI packages.

pub mod browser;
pub mod client_program;
pub mod conformance_user;
pub mod connection;
pub mod dialogue;
pub mod everything;
pub mod http;
pub mod hub;
pub mod identity_provider;
pub mod mcp_client;
pub mod message;
pub mod packages;
pub mod people;
pub mod process;
pub mod process_facts;
pub mod raw;
pub mod raw_server;
pub mod reference_server;
pub mod scripted;
pub mod scripted_issuer;
pub mod scripted_messages;
pub mod scripted_responses;
pub mod sse_client;
pub mod stdio_client;
pub mod suite_authorization;
