//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{call, doctor, exec, login, shell, status, store, token};
use crate::proxy;
use crate::session::SessionOptions;

/// One CTC login for every program on the machine
#[derive(Debug, Parser)]
#[command(name = "ctc", version, before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Print the result as one JSON object ("version": 1)
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) options: SessionOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in, unless the store has a session
    Login(login::LoginArgs),
    /// Show what is in the store: session, login budget, backoff, rejections
    Status(status::StatusArgs),
    /// Make a GET call and print the body
    Get(call::GetArgs),
    /// Make any call and print the body
    Call(call::CallArgs),
    /// Print the session's token, for other tools
    Token(token::TokenArgs),
    /// Run a program that needs no credentials of its own
    Exec(exec::ExecArgs),
    /// Run the local proxy
    #[command(before_help = PROXY_EXAMPLES)]
    Proxy(proxy::Args),
    /// Replace the token by logging in
    Renew(login::RenewArgs),
    /// End the session, on the server and in the store
    Logout(login::LogoutArgs),
    /// Lift a rejection or a backoff, for example after an account was unlocked
    Reset(login::ResetArgs),
    /// List, show or remove the records in the store
    Store(store::StoreArgs),
    /// Check name, network, TLS, clock and store, without a login
    Doctor(doctor::DoctorArgs),
    /// Print a completion script
    Completions(shell::CompletionsArgs),
    /// Print the manual page
    Man(shell::ManArgs),
}

const EXAMPLES: &str = "\
Examples:
  ctc login                                   log in, unless the store has a session
  ctc get '/connect/services/devices?pg=1'    make one call with it
  ctc exec -- ./report.py                     pass it to another program";

const PROXY_EXAMPLES: &str = "\
Examples:
  ctc proxy                                   on http://127.0.0.1:8321
  ctc proxy --socket $XDG_RUNTIME_DIR/ctc     for this user only
  ctc proxy --health 127.0.0.1:8322           with /healthz, /readyz and /metrics";

const EXIT_CODES: &str = "\
Exit codes:
  0  done                     4  credentials rejected: nothing is sent until they change
  1  error                    5  no session, and none is made
  2  usage                   69  server or proxy unreachable
  3  no login may be made now: try again after the printed time";
