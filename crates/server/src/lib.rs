//! The parts of the `trunkline` binary: the configuration, the command line,
//! and the wiring of the hub.

mod absent;
mod api;
mod asking;
pub mod command;
pub mod config;
mod control;
mod core;
mod data_dir;
pub mod env;
mod find_program;
mod json_lines;
pub mod output;
mod recorded;
mod replace_file;
mod router;
mod sample;
pub mod serve;
mod signals;
pub mod telemetry;

pub use data_dir::DataDir;
