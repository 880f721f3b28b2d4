//! The project's scripts, in the language of the project: `cargo xtask test|ci|sim|guards|fuzz|peers|cluster|codegen|python|layers|tidy`.
//!
//! **Duty.** What a person or a submission runs before code lands. Each command stands alone; `ci` runs them all.
//!
//! **Must not know.** Anything about the log: it looks at files, manifests and exit codes only.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program speaks through them"
)]

mod ci;
mod cluster;
mod codegen;
mod fuzz;
mod guards;
mod layers;
mod peers;
mod python;
mod source;
mod tidy;
mod workspace;
mod zookeeper;

use std::process::ExitCode;

use workspace::{Build, Workspace};

const USAGE: &str = "\
cargo xtask COMMAND

  test               all tests of the workspace, in the profile `checked`; installs ZooKeeper, for root, if it is missing
  ci                 everything that a submission must pass, with the time of each step
  sim                1500 seeds of the simulation
  guards             that a seed fails when a step of durability is left out, for each step
  guards --find STEP pins another seed for a step whose seed has moved; for each step with `all`
  fuzz [--seed N …]  the seeded run of the fuzz targets; with arguments of ringlog-fuzz
  fuzz --guided T    one target for a minute with libFuzzer; needs a nightly compiler and cargo-fuzz
  peers start P …    Kafka, NATS or Redis on loopback, to compare with: start|stop|status kafka|nats|redis|all
  cluster start -n 3 ZooKeeper and brokers on loopback, to try out, with their data in target/cluster; or `stop`
  codegen [--check]  writes the code that flatc makes of net/wire/schema; or compares it
  python             fetches what the tests in Python need; `test` does it too
  layers [--write]   checks who depends on whom, and the table in README; or writes that table
  tidy               checks what compilers do not: names, headers, forbidden calls, links
";

/// What went wrong, for a person: every line is one finding.
type Findings = Vec<String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workspace = match Workspace::load() {
        Ok(workspace) => workspace,
        Err(findings) => return report(Err(findings)),
    };
    let outcome = match arguments.as_slice() {
        ["test"] => ci::test(&workspace),
        ["ci"] => ci::run(&workspace),
        ["sim"] => guards::seeds(&workspace, Build::Fresh),
        ["guards"] => guards::prove(&workspace),
        ["guards", "--find", step] => guards::find(&workspace, step),
        ["fuzz", "--guided", target] => fuzz::guided(&workspace, target),
        ["fuzz", arguments @ ..] => fuzz::run(&workspace, Build::Fresh, arguments),
        ["peers", arguments @ ..] => peers::run(&workspace, arguments),
        ["cluster", arguments @ ..] => cluster::run(&workspace, arguments),
        ["codegen"] => codegen::run(&workspace, codegen::Mode::Write),
        ["codegen", "--check"] => codegen::run(&workspace, codegen::Mode::Check),
        ["python"] => python::ensure(&workspace),
        ["layers"] => layers::run(&workspace, layers::Mode::Check),
        ["layers", "--write"] => layers::run(&workspace, layers::Mode::Write),
        ["tidy"] => tidy::run(&workspace),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    report(outcome)
}

fn report(outcome: Result<(), Findings>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(findings) => {
            for finding in findings {
                eprintln!("{finding}");
            }
            ExitCode::FAILURE
        }
    }
}
