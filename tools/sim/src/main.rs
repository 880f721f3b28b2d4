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
use ringlog_sim::guards::{Guard, find, named};
use ringlog_sim::run::{Plan, Scenario, run_seed, run_seeds};

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
    /// Leave this step out of the engine.
    #[arg(long, value_name = "STEP", value_parser = parse_guard)]
    omit: Option<Guard>,
    /// Print the first seed that tells that the step is left out.
    #[arg(long, requires = "omit")]
    find: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScenarioName {
    /// Logs directly on the storage engine.
    Log,
    /// A broker and its clients.
    Broker,
    /// Controllers and brokers on one metadata store.
    Controller,
}

impl From<ScenarioName> for Scenario {
    fn from(name: ScenarioName) -> Self {
        match name {
            ScenarioName::Log => Self::Log,
            ScenarioName::Broker => Self::Broker,
            ScenarioName::Controller => Self::Controller,
        }
    }
}

fn parse_guard(name: &str) -> Result<Guard, String> {
    let names = || ringlog_sim::guards::GUARDS.map(|guard| guard.step.name());
    named(name).ok_or_else(|| format!("not one of {}", names().join(", ")))
}

/// Seeds between two signs of life.
const PROGRESS_SEEDS: u64 = 250;

/// What runs one seed again.
fn command_of(plan: Plan, seed: u64) -> String {
    let omit = plan
        .omitted
        .map_or_else(String::new, |step| format!("--omit {} ", step.name()));
    let scenario = plan.scenario.name();
    format!(
        "cargo run --profile checked --package ringlog-sim -- {omit}--scenario {scenario} --seed {seed}"
    )
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = Plan {
        omitted: arguments.omit.map(|guard| guard.step),
        ..Plan::of(Scenario::from(arguments.scenario))
    };
    if let Some(guard) = arguments.omit.filter(|_| arguments.find) {
        return report_found(guard, &arguments);
    }
    match arguments.seed {
        Some(seed) => report_one(plan, seed),
        None => report_many(plan, &arguments),
    }
}

fn report_found(guard: Guard, arguments: &Arguments) -> ExitCode {
    let seeds = arguments.start..arguments.start + arguments.seeds;
    match find(guard, seeds) {
        Some(seed) => {
            println!("{seed}");
            ExitCode::SUCCESS
        }
        None => {
            let step = guard.step.name();
            eprintln!("{} finds {step} in none of the seeds", guard.checker);
            ExitCode::FAILURE
        }
    }
}

fn report_one(plan: Plan, seed: u64) -> ExitCode {
    match run_seed(plan, seed) {
        Ok(outcome) => {
            println!("seed {seed} passed: {outcome:#?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("seed {seed} failed: {failure}");
            eprintln!("  again: {}", command_of(plan, seed));
            ExitCode::FAILURE
        }
    }
}

fn report_many(plan: Plan, arguments: &Arguments) -> ExitCode {
    let done = AtomicU64::new(0);
    let processors = || std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let jobs = arguments.jobs.unwrap_or_else(processors);
    let totals = run_seeds(
        plan,
        arguments.start,
        arguments.seeds,
        jobs,
        |seed, result| {
            if let Err(failure) = result {
                eprintln!("seed {seed} failed: {failure}");
                eprintln!("  again: {}", command_of(plan, seed));
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(PROGRESS_SEEDS) {
                let name = plan.scenario.name();
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
