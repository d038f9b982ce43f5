//! The `twinspec` command.

use std::process::ExitCode;

use twinspec_harness::process::keep;

fn main() -> ExitCode {
    keep().unwrap_or_else(twinspec::cli::main)
}
