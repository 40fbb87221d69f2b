//! The command line.

use clap::{Parser, Subcommand};

use crate::commands;
use crate::proxy;
use crate::session::SessionOptions;

/// One CTC login for every program on the machine
#[derive(Debug, Parser)]
#[command(name = "ctc", version, before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) options: SessionOptions,
    /// Print the result as one JSON object ("version": 1)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a GET call and print the body
    Get(commands::call::GetArgs),
    /// Make any call and print the body
    Call(commands::call::CallArgs),
    /// Run the local proxy
    Proxy(proxy::Args),
}

const EXAMPLES: &str = "\
Examples:
  ctc login                                   log in, unless the store has a session
  ctc get '/connect/services/devices?pg=1'    make one call with it
  ctc exec -- ./report.py                     give it to another program";

const EXIT_CODES: &str = "\
Exit codes:
  0  done                     4  credentials rejected: nothing is sent until they change
  1  error                    5  no session, and none is made
  2  usage                   69  server or proxy unreachable
  3  held back: try again after the seconds that are printed";
