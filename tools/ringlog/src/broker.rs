//! `ringlog broker`: puts a broker together from its settings and runs it until it is told to stop.
//!
//! The calling thread is the control thread: it runs the control task over the metadata store, and the admin port. The
//! shards have threads of their own, and so has the preparation of files.

mod admin;
mod settings;
mod signals;
mod store;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ringlog_log::{BulkFiles, NoBulkFiles};
use ringlog_maintenance::{Maintenance, MaintenanceConfig};
use ringlog_reactor::uring::{Verdict, descriptor_limit, probe, raise_descriptor_limit};
use ringlog_reactor::{CoreHandle, UringPlatform};
use ringlog_server::{BrokerParts, BulkFactory};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::settings::Settings;
use crate::cli::BrokerArguments;
use crate::error::CommandError;
use crate::output::is_log_coloured;

pub(crate) fn run(arguments: &BrokerArguments) -> Result<(), CommandError> {
    let mut settings = Settings::new(arguments)?;
    tracing_subscriber::fmt()
        .with_max_level(settings.log)
        .with_writer(std::io::stderr)
        .with_ansi(is_log_coloured())
        .init();
    let panics = abort_on_panic();
    let data_dir = &settings.broker.data_dir;
    std::fs::create_dir_all(data_dir).map_err(|error| {
        let what = format!("make the data directory {}", data_dir.display());
        let advice = "make its parent writable for this user, or give another one with --data-dir";
        CommandError::failed(&what, format!("{error}; {advice}"))
    })?;
    check_machine(&settings)?;
    settings.broker.descriptors_max = match raise_descriptor_limit() {
        Ok(descriptors) => Some(descriptors),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            descriptor_limit().ok().map(|limit| limit.soft)
        }
    };
    // Before there is a session to keep: this thread may wait here for seconds.
    let (maintenance, bulk) = start_maintenance(&settings);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::failed("start the control thread", error))?;
    let admin = admin::Admin::new(maintenance.as_ref());
    // Before anything runs: an address in use is found out first, and whoever asks how a broker is or tells it to stop
    // has an answer while it waits for its metadata, too.
    let (signals, admin_ended, metadata) = runtime.block_on(async {
        let admin_ended = match settings.admin {
            Some(address) => admin::serve(address, admin.clone()).await?.left_future(),
            None => std::future::pending().right_future(),
        };
        let mut signals = signals::Signals::install()?;
        let metadata = tokio::select! {
            metadata = store::Metadata::open(&settings) => metadata?,
            () = signals.next() => {
                return Err(CommandError::failed("start the broker", "it was told to stop"));
            }
        };
        Ok((signals, admin_ended, metadata))
    })?;
    let platform = UringPlatform::for_files_in(&settings.broker.data_dir);
    let parts = ringlog_server::start(&platform, settings.broker.clone(), bulk)
        .map_err(|error| CommandError::failed("start the broker", error))?;
    let BrokerParts {
        control,
        handle,
        ready,
        cores,
    } = parts;
    let served = runtime.block_on(async {
        let announce = async {
            // Without an answer the control task has ended, and says why.
            if let Ok(address) = ready.await {
                admin.started(handle.clone());
                greet(&settings, address);
            }
        };
        let ended = tokio::select! {
            ended = control.run(metadata.clone()) => {
                ended.map_err(|error| CommandError::failed("run the broker", error))
            }
            failed = admin_ended => Err(failed),
            failed = signals.stop(&handle, &cores) => Err(failed),
            () = async { announce.await; std::future::pending().await } => Ok(()),
            () = end_session(panics, metadata.clone()) => Ok(()),
        };
        if ended.is_err() {
            // What ends in order has done so already; the cluster is to learn of the rest now, too, not by a time-out.
            metadata.close().await;
        }
        ended
    });
    // The shards have been drained only where the control task has ended; otherwise nobody waits for them.
    served?;
    let joined: Result<Vec<()>, _> = cores.into_iter().map(CoreHandle::join).collect();
    drop(maintenance);
    joined.map_err(|error| CommandError::failed("stop the broker cleanly", error))?;
    tracing::info!("the broker has stopped");
    Ok(())
}

/// Tells whoever waits that the session has ended.
type SessionEnded = std::sync::mpsc::SyncSender<()>;

/// How long a process that is about to abort waits for the end of its session: the cluster then learns of it now, not by
/// a time-out.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// A shard that panics must not leave the others serving as if nothing were. Gives the panics of other threads.
fn abort_on_panic() -> UnboundedReceiver<SessionEnded> {
    let (panics, panicked) = unbounded_channel();
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        let (ended, wait) = std::sync::mpsc::sync_channel(1);
        if panics.send(ended).is_ok() {
            // In time or not, the process ends.
            wait.recv_timeout(LAST_WORDS).ok();
        }
        std::process::abort();
    }));
    panicked
}

/// Ends the session when another thread panics. Never returns: the process aborts.
async fn end_session(mut panics: UnboundedReceiver<SessionEnded>, metadata: store::Metadata) {
    if let Some(ended) = panics.recv().await {
        metadata.close().await;
        ended.send(()).ok();
    }
    std::future::pending().await
}

/// What `ringlog doctor` finds: what a broker cannot run without is an error, the rest is said once.
fn check_machine(settings: &Settings) -> Result<(), CommandError> {
    let findings = probe(&settings.broker.data_dir);
    for finding in &findings {
        match finding.verdict {
            Verdict::Ok => {}
            Verdict::Warn => tracing::warn!(check = finding.name, "{}", finding.sentence),
            Verdict::Fail => {
                return Err(CommandError::failed("start the broker", &finding.sentence));
            }
        }
    }
    Ok(())
}

/// Starts the thread that prepares files. A broker runs without it, only slower at each roll.
fn start_maintenance(settings: &Settings) -> (Option<Maintenance>, BulkFactory) {
    let config = MaintenanceConfig::new(settings.broker.data_dir.clone());
    match Maintenance::start(config) {
        Ok(maintenance) => {
            let files = maintenance.files();
            let bulk: BulkFactory = Arc::new(move |_| Rc::new(files.clone()) as Rc<dyn BulkFiles>);
            (Some(maintenance), bulk)
        }
        Err(error) => {
            tracing::warn!(%error, "segment files are not prepared in advance");
            (None, Arc::new(|_| Rc::new(NoBulkFiles)))
        }
    }
}

/// Says that the broker is ready, and what to type next.
fn greet(settings: &Settings, address: std::net::SocketAddr) {
    let shards = settings.broker.shards;
    tracing::info!(%address, shards, data_dir = %settings.broker.data_dir.display(), "the broker is ready");
    let program = program();
    let bootstrap = if address.port() == 9400 && address.ip().is_loopback() {
        String::new()
    } else {
        format!(" --bootstrap {address}")
    };
    eprintln!(
        "\nReady on {address}. In another terminal:\n
  {program} topic create events --partitions 4{bootstrap}
  echo 'hello, log' | {program} produce events{bootstrap}
  {program} consume events --until-end{bootstrap}\n
Ctrl-C stops the broker; everything acknowledged is on disk.\n"
    );
}

/// How this program was called: `cargo run` leaves no shorter way.
fn program() -> String {
    let path = std::env::args().next().unwrap_or_default();
    if path.is_empty() {
        "ringlog".to_owned()
    } else {
        path
    }
}
