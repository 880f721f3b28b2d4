//! `ringlog bench`: honest load on a broker, its peers and the machine under them.

mod compare;
mod show;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ringlog_bench::driver::Durability;
use ringlog_bench::{
    Arrivals, BenchSettings, BrokerCommand, Crowd, ReadFrom, RunResult, Scenario, TargetSpec,
    Timing, bench, write_result,
};
use tokio::signal::unix::{self, SignalKind};

use crate::cli::{
    AppendArguments, BOOTSTRAP_VARIABLE, BenchCommand, DeviceArguments, LoadArguments,
    ReadFromArgument, RestartArguments, RunArguments,
};
use crate::error::CommandError;
use crate::output::outln;

/// How long a run measures unless told.
const DURATION: Duration = Duration::from_secs(5);
/// The same for a soak.
const SOAK_DURATION: Duration = Duration::from_secs(30 * 60);
/// What a cold reader reads, unless told: more than the caches of a broker with the usual settings.
const COLD_FILL_BYTES: u64 = 4 << 30;
/// What a consumer reads, unless told.
const FILL_BYTES: u64 = 256 << 20;

pub(crate) async fn run(command: BenchCommand) -> Result<(), CommandError> {
    let (settings, output) = match command {
        BenchCommand::Device(arguments) => {
            let output = arguments.run.output.form;
            (device(arguments), output)
        }
        BenchCommand::Produce(load) => of_load(Scenario::Produce, load)?,
        BenchCommand::Consume {
            pass_through,
            from,
            load,
        } => {
            let from = match from {
                ReadFromArgument::Memory => ReadFrom::Memory,
                ReadFromArgument::Device => ReadFrom::Device,
            };
            let is_decoding = !pass_through;
            of_load(Scenario::Consume { is_decoding, from }, load)?
        }
        BenchCommand::EndToEnd(load) => of_load(Scenario::EndToEnd, load)?,
        BenchCommand::RateLadder(load) => of_load(Scenario::RateLadder, load)?,
        BenchCommand::SloSearch { p99, steps, load } => of_load(
            Scenario::SloSearch {
                p99_max: p99,
                steps,
            },
            load,
        )?,
        BenchCommand::ColdReader(load) => of_load(Scenario::ColdReader, load)?,
        BenchCommand::Partitions { counts, load } => {
            of_load(Scenario::Partitions { counts }, load)?
        }
        BenchCommand::Hostile {
            idle,
            vanishing,
            load,
        } => of_load(Scenario::Hostile(Crowd { idle, vanishing }), load)?,
        BenchCommand::Connections(load) => of_load(Scenario::Connections, load)?,
        BenchCommand::CompareResults {
            before,
            after,
            output,
        } => return compare::run(&before, &after, output.form),
        BenchCommand::Soak(load) => of_load(Scenario::Soak, load)?,
        BenchCommand::Append(arguments) => {
            let output = arguments.run.output.form;
            (append(arguments), output)
        }
        BenchCommand::Restart(arguments) => {
            let output = arguments.run.output.form;
            (restart(arguments)?, output)
        }
    };
    let result = measure(&settings).await?;
    let kept = settings
        .out
        .as_deref()
        .map(|out| write_result(out, &result));
    let kept = kept
        .transpose()
        .map_err(|error| CommandError::failed("keep the result", error))?;
    show::show(&result, output);
    if let Some(path) = kept {
        eprintln!("The result is in {}.", path.display());
    }
    verdict(&settings, &result)
}

async fn measure(settings: &BenchSettings) -> Result<RunResult, CommandError> {
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(200));
    let mut tell = |what: &str| progress.set_message(what.to_owned());
    let result = bench(settings, told_to_stop(), &mut tell).await;
    progress.finish_and_clear();
    result.map_err(|error| match error {
        ringlog_bench::BenchError::Settings(message) => CommandError::Usage(message),
        other => CommandError::failed("measure", other),
    })
}

/// Waits until the user, the system or a closed terminal ends this program.
async fn told_to_stop() {
    let signal = |kind| async move {
        match unix::signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signal(SignalKind::interrupt()) => {}
        () = signal(SignalKind::terminate()) => {}
        () = signal(SignalKind::hangup()) => {}
    }
}

/// A scenario whose figures must not be used fails. A ladder or a search goes beyond what a target can take on purpose.
fn verdict(settings: &BenchSettings, result: &RunResult) -> Result<(), CommandError> {
    if let Some(reason) = &result.ended_early {
        return Err(CommandError::Failed(format!(
            "not all was measured: {reason}"
        )));
    }
    let goes_beyond = matches!(
        settings.scenario,
        Scenario::RateLadder | Scenario::SloSearch { .. }
    );
    let invalid = result
        .points
        .iter()
        .filter(|point| !point.summary.is_valid)
        .count();
    if invalid == 0 || goes_beyond {
        return Ok(());
    }
    let all = result.points.len();
    Err(CommandError::Failed(format!(
        "{invalid} of {all} points are not valid; the reasons are told above"
    )))
}

fn timing(run: &RunArguments, duration: Duration, repetitions: u32) -> Timing {
    Timing {
        warm_up: run.warm_up,
        duration: run.duration.unwrap_or(duration),
        repetitions: run.repetitions.unwrap_or(repetitions),
    }
}

fn command_line() -> Vec<String> {
    let mut words = std::env::args();
    // Whoever runs it again has the program elsewhere.
    let _program = words.next();
    std::iter::once("ringlog".to_owned()).chain(words).collect()
}

/// What a scenario without a system to load leaves as it is.
fn without_load(scenario: Scenario, targets: Vec<TargetSpec>, run: RunArguments) -> BenchSettings {
    BenchSettings {
        scenario,
        targets,
        timing: timing(&run, DURATION, 3),
        dir: run.dir,
        raw_spin: run.raw_spin,
        record_bytes: vec![1],
        batch_records: vec![1],
        connections: vec![1],
        partitions: 1,
        keys: None,
        rates: Vec::new(),
        arrivals: Arrivals::default(),
        in_flight: vec![1],
        durability: Durability::Sync,
        stream_settings: Vec::new(),
        vary: None,
        wants_receipts: false,
        fetch_bytes: 0,
        fill_bytes: 0,
        retention_bytes: 0,
        segment_bytes: 0,
        workers: 1,
        warm_memory_bytes: run.warm_memory,
        late_after: Duration::ZERO,
        late_share_max: 1.0,
        seed: 0,
        admin: None,
        out: run.out,
        command: command_line(),
    }
}

fn device(arguments: DeviceArguments) -> BenchSettings {
    let scenario = Scenario::Device {
        shapes: arguments.shape,
    };
    BenchSettings {
        record_bytes: arguments.record_bytes,
        connections: arguments.connections,
        in_flight: arguments.in_flight,
        durability: Durability::Default,
        ..without_load(scenario, vec![TargetSpec::raw()], arguments.run)
    }
}

fn append(arguments: AppendArguments) -> BenchSettings {
    let scenario = Scenario::Append {
        counts: arguments.counts,
    };
    let targets = vec![TargetSpec::raw(), TargetSpec::engine()];
    BenchSettings {
        record_bytes: arguments.record_bytes,
        batch_records: arguments.batch_records,
        in_flight: arguments.in_flight,
        retention_bytes: arguments.retention,
        segment_bytes: arguments.segment_bytes,
        ..without_load(scenario, targets, arguments.run)
    }
}

fn restart(arguments: RestartArguments) -> Result<BenchSettings, CommandError> {
    let program = std::env::current_exe();
    let broker = BrokerCommand {
        program: program.map_err(|error| CommandError::failed("find this program", error))?,
        arguments: arguments.broker,
    };
    let scenario = Scenario::Restart {
        counts: arguments.counts,
        broker,
    };
    Ok(BenchSettings {
        stream_settings: stream_settings(&arguments.config)?,
        fill_bytes: arguments.fill,
        ..without_load(scenario, vec![TargetSpec::broker()], arguments.run)
    })
}

fn or<T>(given: Vec<T>, otherwise: impl IntoIterator<Item = T>) -> Vec<T> {
    if given.is_empty() {
        otherwise.into_iter().collect()
    } else {
        given
    }
}

fn of_load(
    scenario: Scenario,
    load: LoadArguments,
) -> Result<(BenchSettings, crate::output::Format), CommandError> {
    let (duration, repetitions) = match scenario {
        Scenario::Soak => (SOAK_DURATION, 1),
        _ => (DURATION, 3),
    };
    let connections: &[usize] = match scenario {
        Scenario::Connections => &[1, 16, 100, 1000, 5000],
        _ => &[1],
    };
    let batch_records = match scenario {
        Scenario::Consume { .. } => 64,
        _ => 1,
    };
    let fill_bytes = match scenario {
        Scenario::ColdReader
        | Scenario::Consume {
            from: ReadFrom::Device,
            ..
        } => COLD_FILL_BYTES,
        _ => FILL_BYTES,
    };
    let is_ours = load.driver.is_ringlog();
    let bootstrap = load.bootstrap.or_else(|| match is_ours {
        true => std::env::var(BOOTSTRAP_VARIABLE).ok(),
        false => None,
    });
    let targets = or(
        load.compare,
        [TargetSpec::system(load.driver, bootstrap.as_deref())],
    );
    let run = load.run;
    let output = run.output.form;
    let settings = BenchSettings {
        targets,
        timing: timing(&run, duration, repetitions),
        dir: run.dir,
        raw_spin: run.raw_spin,
        record_bytes: load.record_bytes,
        batch_records: or(load.batch_records, [batch_records]),
        connections: or(load.connections, connections.iter().copied()),
        partitions: load.partitions,
        keys: load.keys,
        rates: load.rate,
        arrivals: load.arrivals,
        in_flight: load.in_flight,
        durability: load.durability,
        stream_settings: stream_settings(&load.config)?,
        vary: load.vary,
        wants_receipts: load.receipts,
        fetch_bytes: load.fetch_bytes,
        fill_bytes: load.fill.unwrap_or(fill_bytes),
        retention_bytes: 0,
        segment_bytes: 0,
        workers: load.workers,
        warm_memory_bytes: run.warm_memory,
        late_after: load.late_after,
        late_share_max: load.late_limit,
        seed: load.seed,
        admin: load.admin,
        out: run.out,
        command: command_line(),
        scenario,
    };
    Ok((settings, output))
}

fn stream_settings(config: &[String]) -> Result<Vec<(String, String)>, CommandError> {
    let pairs = config.iter().map(|pair| {
        let split = pair
            .split_once('=')
            .ok_or_else(|| CommandError::Usage(format!("--config {pair:?} is not KEY=VALUE")))?;
        Ok((split.0.to_owned(), split.1.to_owned()))
    });
    pairs.collect()
}

/// Lines that are no figures.
fn tell(result: &RunResult) {
    for point in &result.points {
        let reasons = point.repetitions.iter().zip(1..);
        for (repetition, number) in reasons {
            for reason in &repetition.invalid {
                outln!("not valid: {}, run {number}: {reason}", point.target);
            }
        }
    }
    if let Some(reason) = &result.ended_early {
        outln!("not all was measured: {reason}");
    }
    for note in &result.notes {
        outln!("{note}");
    }
}
