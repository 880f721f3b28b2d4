//! What is loaded: a system behind a driver, or the raw programs.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use crate::driver::{Driver, DriverError, DriverKind};
use crate::error::BenchError;

/// How a target is written: `[LABEL=]DRIVER[@ADDRESS]`, or `raw`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// What it is called in results.
    pub label: String,
    /// The driver; none for what runs in this process.
    pub driver: Option<DriverKind>,
    /// Where it is.
    pub bootstrap: String,
}

impl TargetSpec {
    /// The raw programs of this machine.
    #[must_use]
    pub fn raw() -> Self {
        Self {
            label: "raw".to_owned(),
            driver: None,
            bootstrap: String::new(),
        }
    }

    /// The engine without a network, in this process: it cannot be named, but has a scenario of its own.
    #[must_use]
    pub fn engine() -> Self {
        Self {
            label: "engine".to_owned(),
            ..Self::raw()
        }
    }

    /// A broker that is started by the harness itself: it cannot be named, but has a scenario of its own.
    #[must_use]
    pub fn broker() -> Self {
        Self {
            label: "broker".to_owned(),
            ..Self::raw()
        }
    }

    /// A system by its driver, at its usual address unless told.
    #[must_use]
    pub fn system(driver: DriverKind, bootstrap: Option<&str>) -> Self {
        Self {
            label: driver.name().to_owned(),
            driver: Some(driver),
            bootstrap: bootstrap.unwrap_or(driver.default_bootstrap()).to_owned(),
        }
    }
}

impl FromStr for TargetSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (label, rest) = match text.split_once('=') {
            Some((label, rest)) => (Some(label), rest),
            None => (None, text),
        };
        let (name, bootstrap) = match rest.split_once('@') {
            Some((name, bootstrap)) => (name, Some(bootstrap)),
            None => (rest, None),
        };
        let mut target = if name == "raw" {
            if bootstrap.is_some() {
                return Err("raw is this machine and has no address".to_owned());
            }
            Self::raw()
        } else {
            let driver: DriverKind = name
                .parse()
                .map_err(|error: String| format!("{error}, and not raw"))?;
            Self::system(driver, bootstrap)
        };
        if let Some(label) = label {
            if label.is_empty() || label.chars().any(|c| c.is_control() || "/\\".contains(c)) {
                return Err(format!("{label:?} cannot be a label"));
            }
            target.label = label.to_owned();
        }
        Ok(target)
    }
}

impl fmt::Display for TargetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.driver.map_or("raw", DriverKind::name);
        if self.label != name {
            write!(f, "{}=", self.label)?;
        }
        f.write_str(name)?;
        if self.driver.is_some() {
            write!(f, "@{}", self.bootstrap)?;
        }
        Ok(())
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<Arc<dyn Driver>, DriverError>> + Send>>;

/// Makes a driver: each worker has its own, on its own thread.
pub(crate) type Connector = Arc<dyn Fn() -> Connecting + Send + Sync>;

/// A target that can be loaded.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) spec: TargetSpec,
    pub(crate) kind: TargetKind,
}

#[derive(Clone)]
pub(crate) enum TargetKind {
    System(Connector),
    /// What runs in this process, with its files in this directory.
    Raw(PathBuf),
}

impl Target {
    pub(crate) fn new(spec: TargetSpec, raw_dir: &std::path::Path) -> Self {
        let kind = match spec.driver {
            None => TargetKind::Raw(raw_dir.to_owned()),
            Some(driver) => {
                let bootstrap = spec.bootstrap.clone();
                TargetKind::System(Arc::new(move || {
                    let bootstrap = bootstrap.clone();
                    Box::pin(async move { driver.connect(&bootstrap).await })
                }))
            }
        };
        Self { spec, kind }
    }

    /// Connects.
    pub(crate) async fn driver(&self) -> Result<Option<Arc<dyn Driver>>, BenchError> {
        match &self.kind {
            TargetKind::Raw(_) => Ok(None),
            TargetKind::System(connect) => {
                let driver = connect().await.map_err(BenchError::of(&self.spec.label))?;
                Ok(Some(driver))
            }
        }
    }
}

/// Targets with labels of their own.
pub(crate) fn distinct(specs: &[TargetSpec]) -> Result<(), BenchError> {
    for (index, spec) in specs.iter().enumerate() {
        if specs[..index].iter().any(|one| one.label == spec.label) {
            let label = &spec.label;
            return Err(BenchError::Settings(format!(
                "two targets are called {label}: give them labels, such as --compare \
                 old={label}@127.0.0.1:9400,new={label}@127.0.0.1:9500"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_and_written() {
        for (text, label, bootstrap) in [
            ("raw", "raw", ""),
            ("ringlog@127.0.0.1:9400", "ringlog", "127.0.0.1:9400"),
            ("new=ringlog@[::1]:9", "new", "[::1]:9"),
            ("durable=nats@127.0.0.1:4222", "durable", "127.0.0.1:4222"),
        ] {
            let target: TargetSpec = text.parse().unwrap();
            assert_eq!((&*target.label, &*target.bootstrap), (label, bootstrap));
            assert_eq!(target.to_string(), text);
        }
        let usual: TargetSpec = "kafka".parse().unwrap();
        assert_eq!(usual.bootstrap, "127.0.0.1:9092");
    }

    #[test]
    fn what_is_no_target_is_refused_with_what_could_be_one() {
        for text in ["rabbit", "raw@127.0.0.1:1", "=ringlog", "a/b=ringlog", ""] {
            let refused = text.parse::<TargetSpec>();
            assert!(refused.is_err(), "{text}");
        }
        let refused = "rabbit".parse::<TargetSpec>().unwrap_err();
        assert!(
            refused.contains("kafka") && refused.contains("raw"),
            "{refused}"
        );
    }

    #[test]
    fn two_targets_of_one_name_are_refused() {
        let targets: Vec<TargetSpec> = vec!["ringlog".parse().unwrap(); 2];
        assert!(distinct(&targets).is_err());
        assert!(distinct(&targets[..1]).is_ok());
    }
}
