//! `ctc exec`: runs a program that needs no credentials of its own.

use std::ffi::OsString;
use std::process::Command;

use clap::Args;

use super::token::Stamped;
use crate::account::Account;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::session::{LoginPolicy, SessionOptions, ViaOptions};
use crate::via::Proxy;

/// Options of `ctc exec`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc exec -- ./report.py                           CTC_TOKEN, CTC_APP_KEY, CTC_BASE_URL
  ctc exec --via http://127.0.0.1:8321 -- ./report.py   CTC_PROXY_URL, and no secret at all
  ctc exec -- sh -c 'ctc get /connect/services/devices'")]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    via: ViaOptions,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// The variables that the program must not inherit.
const SECRETS: [&str; 7] = [
    "CTC_PASSWORD",
    "CTC_PASSWORD_FILE",
    "CTC_APP_KEY",
    "CTC_APP_KEY_FILE",
    "CTC_TOKEN",
    "CTC_PROXY_URL",
    "CTC_PROXY_TOKEN_FILE",
];

/// Runs the program. On Unix it replaces this process, so its exit code is that of the command.
pub(crate) fn exec(args: &ExecArgs, options: &SessionOptions) -> Result<Exit, Failure> {
    let Some((program, words)) = args.program.split_first() else {
        return Err(Failure::usage("name the program to run"));
    };
    let mut command = Command::new(program);
    command.args(words);
    for name in SECRETS {
        command.env_remove(name);
    }
    match options.via(&args.via)? {
        Some(via) => {
            Proxy::new(&via)?.knock()?;
            command.env("CTC_PROXY_URL", via.url);
            if let Some(token) = via.token {
                command.env("CTC_PROXY_TOKEN_FILE", token);
            }
        }
        None => give_token(&mut command, &options.account()?, args.via.login())?,
    }
    run(command, &program.to_string_lossy())
}

fn give_token(command: &mut Command, account: &Account, login: LoginPolicy) -> Result<(), Failure> {
    let client = Client::new(account, login)?;
    client.open()?;
    let pass = Stamped::of(client.session())?;
    command.env("CTC_TOKEN", pass.token()?.as_str());
    command.env("CTC_APP_KEY", account.app_key()?.as_str());
    command.env_remove("CTC_REGION");
    command.env("CTC_BASE_URL", account.endpoint.origin());
    Ok(())
}

#[cfg(unix)]
fn run(mut command: Command, program: &str) -> Result<Exit, Failure> {
    use std::os::unix::process::CommandExt;

    // `exec` returns only if it failed.
    let error = command.exec();
    Err(Failure::error(format!("cannot run {program}: {error}")))
}

#[cfg(not(unix))]
fn run(mut command: Command, program: &str) -> Result<Exit, Failure> {
    let status = command.status();
    let status =
        status.map_err(|error| Failure::error(format!("cannot run {program}: {error}")))?;
    std::process::exit(status.code().unwrap_or(1));
}
