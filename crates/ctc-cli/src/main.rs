//! `ctc`: one CTC login for every program on the machine.

use clap::{Parser, Subcommand};

mod proxy;

/// One CTC login for every program on the machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The local proxy.
    Proxy(proxy::Args),
}

fn main() {
    let Cli { command } = Cli::parse();
    match command {
        Command::Proxy(_args) => {}
    }
}
