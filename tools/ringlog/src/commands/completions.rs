//! `ringlog completions`: what completes the command line in a shell.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::CommandError;

pub(crate) fn run(shell: Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ringlog", &mut script);
    match io::stdout().lock().write_all(&script) {
        Ok(()) => Ok(()),
        Err(error) => CommandError::output(&error),
    }
}
