//! `twinspec schema`.

use clap::{Args, ValueEnum};
use twinspec_harness::trace;

use super::{Done, print_json};
use crate::report;

/// Which format to describe.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Which format to describe
    what: What,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The file of --report json=PATH
    Report,
    /// A line of the files of --traces DIR
    Trace,
}

pub(super) fn schema(options: &Options) -> Done {
    print_json(&match options.what {
        What::Report => report::schema(),
        What::Trace => trace::schema(),
    })
}
