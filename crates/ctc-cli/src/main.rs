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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Cli { command } = Cli::parse();
    let Command::Proxy(args) = command;
    let options = ctc_tower::CallOptions::new();
    if args.demo {
        let demo = proxy::Demo::start()?;
        let url = demo.url();
        return Ok(proxy::run(
            &args,
            demo.session.clone(),
            options,
            |layer| layer,
            Some(&url),
        )?);
    }
    let session = ctc_tower::SessionConfig::from_env()?.build()?;
    let store =
        ctc_store_file::FileStore::at(std::env::var("CTC_STORE")?.trim_start_matches("file:"));
    Ok(proxy::run(
        &args,
        session,
        options,
        |layer| layer.store(store),
        None,
    )?)
}
