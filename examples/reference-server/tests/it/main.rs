//! The reference server as a process, asked over both of its transports.

mod asking;
mod changing;
mod conformance;
mod eras_over_http;
mod eras_over_stdio;
mod http_server;
mod misbehaving;
mod pipe;
mod stateful;
