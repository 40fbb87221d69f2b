//! `ctc`: one CTC login for every program on the machine.

mod account;
mod cli;
mod client;
mod commands;
mod exit;
mod layers;
mod output;
mod profile;
mod proxy;
mod record;
mod secrets;
mod session;
mod store;
mod via;
mod when;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::commands::{call, doctor, exec, login, shell, status, token};
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
        Command::Login(_) => login::login(options, form),
        Command::Status(args) => status::status(&args, options, form),
        Command::Get(args) => call::get(&args, options, form),
        Command::Call(args) => call::call(args, options, form),
        Command::Token(args) => token::token(&args, options, form),
        Command::Exec(args) => exec::exec(&args, options),
        Command::Proxy(args) => proxy::run(&args, options, form).map(|()| Exit::Done),
        Command::Renew(_) => login::renew(options, form),
        Command::Logout(_) => login::logout(options, form),
        Command::Reset(_) => login::reset(options, form),
        Command::Store(args) => commands::store::store(&args, options, form),
        Command::Doctor(_) => doctor::doctor(options, form),
        Command::Completions(args) => shell::completions(&args, Cli::command()),
        Command::Man(args) => shell::man(&args, Cli::command()),
    }
}
