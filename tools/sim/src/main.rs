//! `ringlog-sim`: runs seeds of a simulated scenario and says what they met. Ends with 1 when a seed fails.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::{Parser, ValueEnum};
use ringlog_sim::guards::omitted;
use ringlog_sim::run::{Scenario, run_seed, run_seeds};

/// Runs the storage engine or a broker in virtual time, with crashes, and checks what they promised.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Replay this one seed.
    #[arg(long, conflicts_with_all = ["seeds", "start"])]
    seed: Option<u64>,
    /// Run so many seeds.
    #[arg(long, default_value_t = 300)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// What to simulate.
    #[arg(long, value_enum, default_value_t = ScenarioName::Log)]
    scenario: ScenarioName,
    /// Threads to run seeds on; by default one for each processor.
    #[arg(long)]
    jobs: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScenarioName {
    /// Logs directly on the storage engine.
    Log,
    /// A broker and its clients.
    #[cfg(feature = "broker")]
    Broker,
}

impl From<ScenarioName> for Scenario {
    fn from(name: ScenarioName) -> Self {
        match name {
            ScenarioName::Log => Self::Log,
            #[cfg(feature = "broker")]
            ScenarioName::Broker => Self::Broker,
        }
    }
}

/// Seeds between two signs of life.
const PROGRESS_SEEDS: u64 = 250;

/// What runs one seed again.
fn command_of(scenario: &str, seed: u64) -> String {
    let feature = match omitted() {
        Some(guard) => format!("--features {} ", guard.feature),
        None => String::new(),
    };
    format!(
        "cargo run --profile checked --package ringlog-sim {feature}-- --scenario {scenario} --seed {seed}"
    )
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let scenario = Scenario::from(arguments.scenario);
    let name = scenario.name();
    if let Some(seed) = arguments.seed {
        return match run_seed(scenario, seed) {
            Ok(outcome) => {
                println!("seed {seed} passed: {outcome:#?}");
                ExitCode::SUCCESS
            }
            Err(failure) => {
                eprintln!("seed {seed} failed: {failure}");
                eprintln!("  again: {}", command_of(name, seed));
                ExitCode::FAILURE
            }
        };
    }
    let done = AtomicU64::new(0);
    let processors = || std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let jobs = arguments.jobs.unwrap_or_else(processors);
    let totals = run_seeds(
        scenario,
        arguments.start,
        arguments.seeds,
        jobs,
        |seed, result| {
            if let Err(failure) = result {
                eprintln!("seed {seed} failed: {failure}");
                eprintln!("  again: {}", command_of(name, seed));
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(PROGRESS_SEEDS) {
                eprintln!("{name}: {done} of {} seeds", arguments.seeds);
            }
        },
    );
    println!("{totals}");
    if totals.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
