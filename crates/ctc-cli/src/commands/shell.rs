//! `ctc completions` and `ctc man`, for packages of the command.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::exit::{Exit, Failure};
use crate::output::write_out;

/// Options of `ctc completions`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc completions bash > ~/.local/share/bash-completion/completions/ctc
  ctc completions zsh > ~/.zfunc/_ctc
  ctc completions fish > ~/.config/fish/completions/ctc.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Options of `ctc man`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc man | man -l -                             read it
  ctc man --dir ~/.local/share/man/man1          a page for the program and for each command
  man ctc-proxy")]
pub(crate) struct ManArgs {
    /// Write one page for each command into this directory
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "ctc", &mut script);
    write_out(script)?;
    Ok(Exit::Done)
}

/// Prints or writes the manual.
pub(crate) fn man(args: &ManArgs, mut command: Command) -> Result<Exit, Failure> {
    command.build();
    match &args.dir {
        None => write_out(page(command, "ctc")?)?,
        Some(folder) => pages(&command, folder)?,
    }
    Ok(Exit::Done)
}

fn pages(command: &Command, folder: &Path) -> Result<(), Failure> {
    let write = |name: &str, command: Command| {
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(command, name)?)
            .map_err(|error| Failure::error(format!("cannot write {}: {error}", path.display())))
    };
    write("ctc", command.clone())?;
    for part in command
        .get_subcommands()
        .filter(|part| part.get_name() != "help")
    {
        write(&format!("ctc-{}", part.get_name()), part.clone())?;
    }
    Ok(())
}

fn page(command: Command, name: &str) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let man = Man::new(command.name(name.to_owned()));
    man.render(&mut page)
        .map_err(|error| Failure::error(format!("cannot make the manual: {error}")))?;
    Ok(page)
}
