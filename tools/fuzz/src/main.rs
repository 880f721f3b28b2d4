//! `ringlog-fuzz`: the seeded run of the fuzz targets. Ends with 1 when something does not hold.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool"
)]

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use peak_alloc::PeakAlloc;
use ringlog_fuzz::mutate::mutate;
use ringlog_fuzz::{INPUT_BYTES_MAX, TARGETS, Target, corpus, named};
use ringlog_reactor::sim::Chance;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Gives bytes that were changed from valid ones to everything that takes bytes from outside.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// This target alone.
    #[arg(long, value_parser = parse_target)]
    target: Option<&'static Target>,
    /// Names the run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs so many times the rounds of each target.
    #[arg(long, default_value_t = 1)]
    times: u64,
    /// Gives these files to the target, and nothing else.
    #[arg(long, requires = "target", num_args = 1..)]
    input: Vec<PathBuf>,
    /// Writes the samples and the kept inputs of each target into a folder of its name here, for a guided run to
    /// begin from.
    #[arg(long, value_name = "FOLDER")]
    write_samples: Option<PathBuf>,
    /// Where an input that fails is written.
    #[arg(long, value_name = "FOLDER", default_value = "target/fuzz")]
    failures: PathBuf,
}

fn parse_target(name: &str) -> Result<&'static Target, String> {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    named(name).ok_or_else(|| format!("not one of {}", names.join(", ")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<&Target> = match arguments.target {
        Some(target) => vec![target],
        None => TARGETS.iter().collect(),
    };
    let run = || -> io::Result<bool> {
        let mut holds = true;
        for target in chosen {
            holds &= match &arguments.write_samples {
                Some(folder) => write_samples(target, folder).map(|()| true)?,
                None if arguments.input.is_empty() => run_target(target, &arguments)?,
                None => run_files(target, &arguments.input)?,
            };
        }
        Ok(holds)
    };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ringlog-fuzz: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Gives an input to a target, and says whether it was accepted; the reason when something does not hold.
fn run_one(target: &Target, input: &[u8]) -> Result<bool, String> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let held = MEMORY.peak_usage().saturating_sub(before);
    match outcome {
        Err(_) => Err("it panicked, as said above".to_owned()),
        Ok(_) if held > target.memory_bytes_max => Err(format!(
            "it held {held} bytes at once, more than {}",
            target.memory_bytes_max
        )),
        Ok(accepted) => Ok(accepted),
    }
}

fn run_target(target: &Target, arguments: &Arguments) -> io::Result<bool> {
    let began = Instant::now();
    let kept = corpus::kept(target)?;
    let mut inputs: Vec<Vec<u8>> = (target.samples)();
    if inputs.is_empty() {
        return Err(io::Error::other(format!("{} has no samples", target.name)));
    }
    inputs.extend(kept.into_iter().map(|(_, input)| input));
    for input in &inputs {
        if check(target, input, arguments)?.is_none() {
            return Ok(false);
        }
    }
    let mut chance = Chance::new(arguments.seed);
    let rounds = target.rounds * arguments.times;
    let mut accepted = 0;
    for _ in 0..rounds {
        let mut input = inputs[chance.index(inputs.len())].clone();
        let other = &inputs[chance.index(inputs.len())];
        mutate(&mut input, other, &mut chance, INPUT_BYTES_MAX);
        if chance.coin() {
            (target.seal)(&mut input);
        }
        match check(target, &input, arguments)? {
            Some(is_accepted) => accepted += u64::from(is_accepted),
            None => return Ok(false),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let name = target.name;
    println!(
        "{name:<12} {rounds:>8} rounds from {:>2} inputs, {accepted:>8} accepted {seconds:6.1} s",
        inputs.len()
    );
    // Changes that nothing accepts would test the first check alone.
    let is_deep = accepted >= rounds / 100;
    if !is_deep {
        eprintln!("{name}: too few inputs are accepted to say anything");
    }
    Ok(is_deep)
}

/// Whether an input is accepted; none when something does not hold, and the input is written to a file then.
fn check(target: &Target, input: &[u8], arguments: &Arguments) -> io::Result<Option<bool>> {
    let reason = match run_one(target, input) {
        Ok(accepted) => return Ok(Some(accepted)),
        Err(reason) => reason,
    };
    let name = target.name;
    fs::create_dir_all(&arguments.failures)?;
    let file = format!("{name}-{:08x}", crc32c::crc32c(input));
    let file = arguments.failures.join(file);
    fs::write(&file, input)?;
    let file = file.display();
    eprintln!("{name}, seed {}: {reason}", arguments.seed);
    eprintln!(
        "  again: cargo run --profile checked --package ringlog-fuzz -- --target {name} --input {file}"
    );
    eprintln!("  kept, once it is mended, in tools/fuzz/corpus/{name}");
    Ok(None)
}

fn run_files(target: &Target, files: &[PathBuf]) -> io::Result<bool> {
    let mut all_hold = true;
    for file in files {
        let input = fs::read(file)?;
        let outcome = run_one(target, &input);
        match &outcome {
            Ok(true) => println!("{}: accepted, and holds", file.display()),
            Ok(false) => println!("{}: refused", file.display()),
            Err(reason) => eprintln!("{}: {reason}", file.display()),
        }
        all_hold &= outcome.is_ok();
    }
    Ok(all_hold)
}

fn write_samples(target: &Target, folder: &Path) -> io::Result<()> {
    let folder = folder.join(target.name);
    fs::create_dir_all(&folder)?;
    for (number, sample) in (target.samples)().into_iter().enumerate() {
        fs::write(folder.join(format!("sample-{number}")), sample)?;
    }
    for (name, input) in corpus::kept(target)? {
        fs::write(folder.join(name), input)?;
    }
    Ok(())
}
