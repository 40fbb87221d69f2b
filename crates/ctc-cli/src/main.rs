//! `ctc`: one CTC login for every program on the machine.

mod cli;
mod client;
mod commands;
mod exit;
mod output;
mod profile;
mod proxy;
mod secrets;
mod session;
mod store;
mod via;
mod when;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::output::Form;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let form = if cli.json { Form::Json } else { Form::Text };
    match run(cli, form) {
        Ok(exit) => exit.into(),
        Err(failure) => form.print_failure(&failure).into(),
    }
}

fn run(cli: Cli, form: Form) -> Result<Exit, Failure> {
    let options = &cli.options;
    match cli.command {
        Command::Get(args) => commands::call::get(args, options, form),
        Command::Call(args) => commands::call::call(args, options, form),
        Command::Proxy(args) => proxy::run(args, options).map(|()| Exit::Done),
    }
}
