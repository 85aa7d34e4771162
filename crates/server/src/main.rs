//! The `trunkline` binary.

use std::process::ExitCode;

use clap::Parser as _;
use trunkline::command::{self, Cli};
use trunkline::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // before anything that could speak TLS: there is one provider of cryptography
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    debug_assert!(installed.is_ok(), "nothing else installs one");
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Output::new(cli.json).error(format_args!("the runtime cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(command::run(cli));
    // a thread that waits for standard input would hold the process back
    runtime.shutdown_background();
    code
}
