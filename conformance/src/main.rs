//! The `twinspec` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinspec::cli::main()
}
