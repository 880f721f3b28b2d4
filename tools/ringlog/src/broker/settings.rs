//! The settings of a broker: from the command line, the configuration file, and the defaults, in this order.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringlog_coord::store::{ZooKeeperAccess, ZooKeeperAddress};
use ringlog_coord::units::parse_bytes;
use ringlog_reactor::UringPlatform;
use ringlog_record::BrokerId;
use ringlog_server::BrokerConfig;
use ringlog_server::limits::CONNECTIONS_MAX;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::Spanned;
use tracing::level_filters::LevelFilter;

use crate::cli::{BrokerArguments, ZooKeeperArguments};
use crate::error::CommandError;
use crate::zookeeper_access;

/// The longest spin: more would take the core from everybody else.
const SPIN_US_MAX: u64 = 200;

const DATA_DIR: &str = "./ringlog-data";
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9400);
const ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 9401);
const MEMORY_BYTES: usize = 1 << 30;

/// The settings of a broker, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) broker: BrokerConfig,
    /// Where the metadata is; in the data directory without.
    pub(super) zookeeper: Option<ZooKeeperAddress>,
    /// How to get in there.
    pub(super) zookeeper_access: ZooKeeperAccess,
    /// Where /metrics and /healthz are.
    pub(super) admin: Option<SocketAddr>,
    pub(super) log: LevelFilter,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    admin: Option<Spanned<String>>,
    advertised: Option<String>,
    zookeeper: Option<Spanned<String>>,
    zookeeper_auth: Option<PathBuf>,
    zookeeper_tls_ca: Option<PathBuf>,
    zookeeper_tls_cert: Option<PathBuf>,
    zookeeper_tls_key: Option<PathBuf>,
    broker_id: Option<Spanned<u32>>,
    cores: Option<Spanned<String>>,
    shards: Option<Spanned<u16>>,
    #[serde(default, deserialize_with = "bytes")]
    memory: Option<usize>,
    connections_max: Option<Spanned<usize>>,
    spin_us: Option<Spanned<u64>>,
    log: Option<Spanned<String>>,
}

/// A size with or without a unit.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected a size such as \"1GiB\", or a number of bytes"
    )]
    enum Size {
        Number(u64),
        Text(String),
    }
    let bytes = match Size::deserialize(deserializer)? {
        Size::Number(bytes) => bytes,
        Size::Text(text) => parse_bytes(&text).map_err(de::Error::custom)?,
    };
    usize::try_from(bytes)
        .map(Some)
        .map_err(|_| de::Error::custom("the size is too large"))
}

/// A setting, with where it comes from for messages.
struct Sourced<T> {
    value: T,
    origin: String,
}

/// Where settings of the file stand.
struct Lines<'a> {
    path: Option<&'a Path>,
    text: &'a str,
}

impl Lines<'_> {
    /// The flag if it was given, else what the file says.
    fn pick<T>(&self, flag: Option<T>, name: &str, file: Option<Spanned<T>>) -> Option<Sourced<T>> {
        if let Some(value) = flag {
            let origin = format!("--{}", name.replace('_', "-"));
            return Some(Sourced { value, origin });
        }
        let spanned = file?;
        let line = 1 + self.text[..spanned.span().start].matches('\n').count();
        let path = self.path.map(|path| path.display().to_string());
        Some(Sourced {
            origin: format!("{name} in line {line} of {}", path.unwrap_or_default()),
            value: spanned.into_inner(),
        })
    }
}

fn wrong(origin: &str, reason: &str) -> CommandError {
    CommandError::Usage(format!("{origin}: {reason}"))
}

impl Settings {
    /// Puts the settings together.
    pub(super) fn new(arguments: &BrokerArguments) -> Result<Self, CommandError> {
        let (text, file) = match &arguments.config {
            Some(path) => read(path)?,
            None => (String::new(), File::default()),
        };
        let lines = Lines {
            path: arguments.config.as_deref(),
            text: &text,
        };
        let data_dir = arguments.data_dir.clone().or(file.data_dir);
        let listen = arguments.listen.or(file.listen);
        let mut broker = BrokerConfig::new(
            data_dir.unwrap_or_else(|| DATA_DIR.into()),
            listen.unwrap_or_else(|| LISTEN.into()),
        );
        broker.advertised = arguments.advertised.clone().or(file.advertised);
        let zookeeper = lines.pick(arguments.zookeeper.clone(), "zookeeper", file.zookeeper);
        let zookeeper = zookeeper.map(zookeeper_address).transpose()?;
        let given = &arguments.zookeeper_access;
        let access = ZooKeeperArguments {
            zookeeper_auth: given.zookeeper_auth.clone().or(file.zookeeper_auth),
            zookeeper_tls_ca: given.zookeeper_tls_ca.clone().or(file.zookeeper_tls_ca),
            zookeeper_tls_cert: given.zookeeper_tls_cert.clone().or(file.zookeeper_tls_cert),
            zookeeper_tls_key: given.zookeeper_tls_key.clone().or(file.zookeeper_tls_key),
        };
        let zookeeper_access = zookeeper_access::read(&access)?;
        if zookeeper.is_none()
            && (zookeeper_access.digest.is_some() || zookeeper_access.tls.is_some())
        {
            let reason = "there is no --zookeeper to reach that way";
            return Err(wrong("--zookeeper-auth or --zookeeper-tls-ca", reason));
        }
        let broker_id = lines.pick(arguments.broker_id, "broker_id", file.broker_id);
        match (broker_id, &zookeeper) {
            (Some(id), _) => broker.broker = BrokerId::new(id.value),
            (None, Some(_)) => {
                let reason = "a broker of a cluster needs a number that no other has";
                return Err(wrong("--broker-id", reason));
            }
            (None, None) => {}
        }
        let cores = lines.pick(arguments.cores.clone(), "cores", file.cores);
        broker.cpus = cpus(cores.as_ref())?;
        let shards = lines.pick(arguments.shards, "shards", file.shards);
        broker.shards = shard_count(shards.as_ref(), &broker.cpus)?;
        broker.memory_bytes = arguments
            .memory
            .or(file.memory)
            .unwrap_or_else(|| MEMORY_BYTES.max(BrokerConfig::memory_bytes_min(broker.shards)));
        check_memory(&broker)?;
        let connections_max = lines.pick(
            arguments.connections_max,
            "connections_max",
            file.connections_max,
        );
        broker.connections_max = connections(connections_max.as_ref(), broker.shards)?;
        let spin_us = lines.pick(arguments.spin_us, "spin_us", file.spin_us);
        broker.spin = spin(spin_us.as_ref())?;
        let admin = lines.pick(arguments.admin.clone(), "admin", file.admin);
        let log = lines.pick(arguments.log.clone(), "log", file.log);
        Ok(Self {
            broker,
            zookeeper,
            zookeeper_access,
            admin: admin_address(admin.as_ref())?,
            log: log_level(log.as_ref())?,
        })
    }
}

fn read(path: &Path) -> Result<(String, File), CommandError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        CommandError::failed(
            &format!("read the configuration file {}", path.display()),
            error,
        )
    })?;
    // The message of the parser shows the line, the key and what is allowed.
    let file = toml::from_str(&text).map_err(|error| {
        CommandError::Usage(format!(
            "the configuration file {}: {error}",
            path.display()
        ))
    })?;
    Ok((text, file))
}

fn zookeeper_address(text: Sourced<String>) -> Result<ZooKeeperAddress, CommandError> {
    let parsed = text.value.parse::<ZooKeeperAddress>();
    parsed.map_err(|error| wrong(&text.origin, &error.to_string()))
}

/// The processors of the shards, in order; none for shards that are not pinned.
fn cpus(cores: Option<&Sourced<String>>) -> Result<Vec<usize>, CommandError> {
    let (text, origin) = match cores {
        Some(cores) => (cores.value.as_str(), cores.origin.as_str()),
        None => ("auto", "--cores"),
    };
    if text == "none" {
        return Ok(Vec::new());
    }
    let mut all = UringPlatform::cpus().map_err(|error| wrong(origin, &error.to_string()))?;
    if text == "auto" {
        // One is left to the system, the clients and the control thread.
        if all.len() > 1 {
            all.remove(0);
        }
        return Ok(all);
    }
    let mut chosen = Vec::new();
    for part in text.split(',') {
        let allowed = || format!("{part:?} is not allowed: use auto, none, or a list of {all:?}");
        let cpu = part.trim().parse().map_err(|_| wrong(origin, &allowed()))?;
        if !all.contains(&cpu) {
            return Err(wrong(origin, &allowed()));
        }
        if chosen.contains(&cpu) {
            return Err(wrong(origin, &format!("core {cpu} is named twice")));
        }
        chosen.push(cpu);
    }
    Ok(chosen)
}

fn shard_count(shards: Option<&Sourced<u16>>, cpus: &[usize]) -> Result<NonZeroU16, CommandError> {
    let one_each = u16::try_from(cpus.len()).ok().and_then(NonZeroU16::new);
    let Some(shards) = shards else {
        return Ok(one_each.unwrap_or(NonZeroU16::MIN));
    };
    let count = NonZeroU16::new(shards.value)
        .ok_or_else(|| wrong(&shards.origin, "there must be at least one shard"))?;
    if !cpus.is_empty() && usize::from(count.get()) > cpus.len() {
        let reason = format!(
            "{count} shards do not fit {} pinned core(s): use fewer, or --cores none",
            cpus.len()
        );
        return Err(wrong(&shards.origin, &reason));
    }
    Ok(count)
}

fn check_memory(broker: &BrokerConfig) -> Result<(), CommandError> {
    let least = BrokerConfig::memory_bytes_min(broker.shards);
    if broker.memory_bytes < least {
        let reason = format!(
            "{} is too little for {} shard(s): give at least {}",
            indicatif::BinaryBytes(broker.memory_bytes as u64),
            broker.shards,
            indicatif::BinaryBytes(least as u64)
        );
        return Err(wrong("memory", &reason));
    }
    Ok(())
}

fn connections(
    connections_max: Option<&Sourced<usize>>,
    shards: NonZeroU16,
) -> Result<usize, CommandError> {
    let Some(given) = connections_max else {
        return Ok(CONNECTIONS_MAX);
    };
    // Each shard takes an equal part.
    let least = usize::from(shards.get());
    if !(least..=CONNECTIONS_MAX).contains(&given.value) {
        let reason = format!("{} is not from {least} to {CONNECTIONS_MAX}", given.value);
        return Err(wrong(&given.origin, &reason));
    }
    Ok(given.value)
}

fn spin(spin_us: Option<&Sourced<u64>>) -> Result<Duration, CommandError> {
    let Some(spin_us) = spin_us else {
        return Ok(Duration::ZERO);
    };
    if spin_us.value > SPIN_US_MAX {
        let reason = format!("{} is more than {SPIN_US_MAX} microseconds", spin_us.value);
        return Err(wrong(&spin_us.origin, &reason));
    }
    Ok(Duration::from_micros(spin_us.value))
}

fn admin_address(admin: Option<&Sourced<String>>) -> Result<Option<SocketAddr>, CommandError> {
    match admin {
        None => Ok(Some(ADMIN.into())),
        Some(admin) if admin.value == "none" => Ok(None),
        Some(admin) => admin.value.parse().map(Some).map_err(|_| {
            let reason = format!(
                "{:?} is no address such as 127.0.0.1:9401, nor `none`",
                admin.value
            );
            wrong(&admin.origin, &reason)
        }),
    }
}

fn log_level(log: Option<&Sourced<String>>) -> Result<LevelFilter, CommandError> {
    let Some(log) = log else {
        return Ok(LevelFilter::INFO);
    };
    log.value.parse().map_err(|_| {
        let reason = format!(
            "{:?} is none of off, error, warn, info, debug, trace",
            log.value
        );
        wrong(&log.origin, &reason)
    })
}

#[cfg(test)]
mod tests;
