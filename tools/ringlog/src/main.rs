//! ringlog: the one binary. It parses the command line, and each command is a file of its own.
//!
//! Records and answers go to standard output, everything for people to standard error. It ends with 0 when all was
//! done, with 1 when something failed, with 2 when it was called in a wrong way.
#![forbid(unsafe_code)]
#![expect(clippy::print_stderr, reason = "a command line tool talks to its user")]

mod broker;
mod cli;
mod commands;
mod error;
mod output;
mod zookeeper_access;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::error::CommandError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Broker(arguments) => broker::run(&arguments),
        Command::Topic(arguments) => client(commands::topic::run(arguments)),
        Command::Produce(arguments) => client(commands::produce::run(arguments)),
        Command::Consume(arguments) => client(commands::consume::run(arguments)),
        Command::Group(command) => client(commands::group::run(command)),
        Command::Cluster(command) => client(commands::cluster::run(command)),
        Command::Log(arguments) => commands::log::run(&arguments),
        Command::Bench(command) => client(commands::bench::run(*command)),
        Command::Doctor(arguments) => commands::doctor::run(&arguments),
        Command::Completions { shell } => commands::completions::run(shell),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError::Usage(message)) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that talks to a broker.
fn client(command: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::failed("start", error))?;
    let ended = runtime.block_on(command);
    // What a thread still does for a command that was given up is not waited for.
    runtime.shutdown_background();
    ended
}
