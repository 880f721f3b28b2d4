//! The table of topic settings: each key with its kind, range and default.

use serde_json::Value;

use super::ConfigError;
use crate::units;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECOND_MS: u64 = 1_000;
const DAY_MS: u64 = 24 * 3600 * SECOND_MS;
/// Enough for everybody, and far from where additions to a clock overflow.
const MS_MAX: u64 = 100 * 366 * DAY_MS;
const BYTES_MAX: u64 = 1 << 50;

pub(super) const RETENTION_MS_DEFAULT: u64 = 7 * DAY_MS;
pub(super) const SEGMENT_BYTES_DEFAULT: u64 = 256 * MIB;
pub(super) const SEGMENT_MS_DEFAULT: u64 = DAY_MS;
pub(super) const FLUSH_MS_DEFAULT: u64 = 20;
pub(super) const DELETE_RETENTION_MS_DEFAULT: u64 = DAY_MS;
pub(super) const MAX_BATCH_BYTES_DEFAULT: u32 = 1 << 20;
const BATCH_BYTES_MAX: u64 = 4 * MIB;

/// One setting of a topic.
#[derive(Debug)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// What it is when a topic does not set it, as a user would write it.
    pub default: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    pub(super) kind: Kind,
    pub(super) reserved: Reserved,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// Milliseconds.
    Duration { min: u64, max: u64, unbounded: bool },
    /// Bytes.
    Size { min: u64, max: u64, unbounded: bool },
    /// A plain number.
    Count { min: u64, max: u64 },
    /// `true` or `false`.
    Flag,
}

/// What a setting will mean one day and is refused until then.
#[derive(Debug)]
pub(super) enum Reserved {
    Nothing,
    Word(&'static str),
    True,
    /// All but the default.
    Everything,
}

/// Every setting of a topic.
pub static SETTINGS: [Setting; 13] = [
    Setting {
        key: "durability",
        default: "sync",
        about: "when an append is acknowledged: on the device, in memory and written behind, or in memory only",
        kind: Kind::Word(&["sync", "async", "memory"]),
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "retention_ms",
        default: "7d",
        about: "how long records are kept, by the broker's append time",
        kind: Kind::Duration {
            min: 1,
            max: MS_MAX,
            unbounded: true,
        },
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "retention_bytes",
        default: "-1",
        about: "how many bytes each partition keeps; with durability=memory, at most",
        kind: Kind::Size {
            min: 1,
            max: BYTES_MAX,
            unbounded: true,
        },
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "segment_bytes",
        default: "256MiB",
        about: "at which size a segment is sealed",
        kind: Kind::Size {
            min: MIB,
            max: 256 * MIB,
            unbounded: false,
        },
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "segment_ms",
        default: "1d",
        about: "at which age a segment is sealed",
        kind: Kind::Duration {
            min: SECOND_MS,
            max: MS_MAX,
            unbounded: false,
        },
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "flush_ms",
        default: "20ms",
        about: "within which time an async append is written",
        kind: Kind::Duration {
            min: 1,
            max: 60 * SECOND_MS,
            unbounded: false,
        },
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "cleanup",
        default: "delete",
        about: "how old records go",
        kind: Kind::Word(&["delete"]),
        reserved: Reserved::Word("compact"),
    },
    Setting {
        key: "delete_retention_ms",
        default: "1d",
        about: "how long compaction keeps a tombstone",
        kind: Kind::Duration {
            min: 0,
            max: MS_MAX,
            unbounded: false,
        },
        reserved: Reserved::Everything,
    },
    Setting {
        key: "max_batch_bytes",
        default: "1MiB",
        about: "the largest batch that is taken",
        kind: Kind::Size {
            min: KIB,
            max: BATCH_BYTES_MAX,
            unbounded: false,
        },
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "timestamp_type",
        default: "create",
        about: "whose clock the timestamps are",
        kind: Kind::Word(&["create", "append"]),
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "min_isr",
        default: "1; 2 when there are three replicas or more",
        about: "how many replicas must have a record before it is acknowledged to acks=all",
        kind: Kind::Count {
            min: 1,
            max: crate::limits::REPLICAS_MAX as u64,
        },
        reserved: Reserved::Nothing,
    },
    Setting {
        key: "unclean_election",
        default: "false",
        about: "whether a replica that may have lost records may lead when no other is there",
        kind: Kind::Flag,
        reserved: Reserved::True,
    },
    Setting {
        key: "fresh_reads",
        default: "false",
        about: "whether each read proves that the leader still leads",
        kind: Kind::Flag,
        reserved: Reserved::True,
    },
];

impl Setting {
    /// The setting of a key.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKey`] lists every key.
    pub fn find(key: &str) -> Result<&'static Self, ConfigError> {
        SETTINGS
            .iter()
            .find(|setting| setting.key == key)
            .ok_or_else(|| ConfigError::UnknownKey {
                key: key.to_owned(),
                known: SETTINGS.each_ref().map(|setting| setting.key).join(", "),
            })
    }

    /// What may be given, as a sentence's end.
    #[must_use]
    pub fn allowed(&self) -> String {
        if matches!(self.reserved, Reserved::Everything) {
            return format!("only its default, {}", self.default);
        }
        let text = |value: u64, is_size: bool| {
            if is_size {
                size_text(value)
            } else {
                duration_text(value)
            }
        };
        let range = |min: u64, max: u64, unbounded: bool, units: &str, is_size: bool| {
            let unbounded = if unbounded {
                ", or -1 for no bound"
            } else {
                ""
            };
            format!(
                "{} to {}{unbounded} (units: {units})",
                text(min, is_size),
                text(max, is_size)
            )
        };
        match &self.kind {
            Kind::Word(words) => words.join(", "),
            Kind::Duration {
                min,
                max,
                unbounded,
            } => range(*min, *max, *unbounded, units::DURATION_UNITS, false),
            Kind::Size {
                min,
                max,
                unbounded,
            } => range(*min, *max, *unbounded, units::SIZE_UNITS, true),
            Kind::Count { min, max } => format!("{min} to {max}"),
            Kind::Flag if matches!(self.reserved, Reserved::True) => "false".to_owned(),
            Kind::Flag => "true, false".to_owned(),
        }
    }

    /// Reads a value as a user writes it, and makes it what is stored.
    pub(super) fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let bad = || self.bad(text);
        let value = match &self.kind {
            Kind::Word(_) => Value::from(text),
            Kind::Flag => Value::from(text.parse::<bool>().map_err(|_| bad())?),
            Kind::Duration {
                unbounded: true, ..
            }
            | Kind::Size {
                unbounded: true, ..
            } if text == "-1" => Value::from(-1),
            Kind::Duration { .. } => {
                Value::from(units::parse_duration_ms(text).map_err(|_| bad())?)
            }
            Kind::Size { .. } => Value::from(units::parse_bytes(text).map_err(|_| bad())?),
            Kind::Count { .. } => Value::from(text.parse::<u64>().map_err(|_| bad())?),
        };
        self.check_shown(&value, text)?;
        Ok(value)
    }

    /// Checks a value as it is stored.
    pub(super) fn check(&self, value: &Value) -> Result<(), ConfigError> {
        match value {
            Value::String(text) => self.check_shown(value, text),
            other => self.check_shown(other, &other.to_string()),
        }
    }

    fn check_shown(&self, value: &Value, shown: &str) -> Result<(), ConfigError> {
        let within = |min: u64, max: u64| {
            value
                .as_u64()
                .is_some_and(|number| (min..=max).contains(&number))
        };
        let unbounded_ok = |unbounded: bool| unbounded && value.as_i64() == Some(-1);
        let reserved = match self.reserved {
            Reserved::Nothing => false,
            Reserved::Word(word) => value.as_str() == Some(word),
            Reserved::True => value.as_bool() == Some(true),
            Reserved::Everything => true,
        };
        let good = match self.kind {
            Kind::Word(words) => {
                reserved || value.as_str().is_some_and(|word| words.contains(&word))
            }
            Kind::Duration {
                min,
                max,
                unbounded,
            }
            | Kind::Size {
                min,
                max,
                unbounded,
            } => within(min, max) || unbounded_ok(unbounded),
            Kind::Count { min, max } => within(min, max),
            Kind::Flag => value.is_boolean(),
        };
        if !good {
            return Err(self.bad(shown));
        }
        if reserved {
            return Err(ConfigError::Reserved {
                key: self.key,
                value: shown.to_owned(),
                allowed: self.allowed(),
            });
        }
        Ok(())
    }

    fn bad(&self, value: &str) -> ConfigError {
        ConfigError::BadValue {
            key: self.key,
            value: value.to_owned(),
            allowed: self.allowed(),
        }
    }
}

/// The largest unit that divides it.
fn size_text(bytes: u64) -> String {
    let units = [
        (1_u64 << 40, "TiB"),
        (1 << 30, "GiB"),
        (MIB, "MiB"),
        (KIB, "KiB"),
    ];
    scaled(bytes, &units, "B")
}

fn duration_text(ms: u64) -> String {
    let units = [
        (DAY_MS, "d"),
        (3600 * SECOND_MS, "h"),
        (60 * SECOND_MS, "m"),
        (SECOND_MS, "s"),
    ];
    scaled(ms, &units, "ms")
}

fn scaled(value: u64, units: &[(u64, &str)], smallest: &str) -> String {
    match units
        .iter()
        .find(|(scale, _)| value >= *scale && value.is_multiple_of(*scale))
    {
        Some((scale, unit)) => format!("{}{unit}", value / scale),
        None => format!("{value}{smallest}"),
    }
}
