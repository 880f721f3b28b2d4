//! What is to be measured: points, and the lanes that take turns at one.

use crate::driver::Durability;
use crate::load::{Load, Shape};
use crate::result::PointSettings;
use crate::settings::ReadFrom;

/// A point, before it is measured.
#[derive(Clone, Debug)]
pub(crate) struct PointPlan {
    /// See [`PointSettings::phase`].
    pub(crate) phase: String,
    pub(crate) connections: usize,
    pub(crate) partitions: u32,
    pub(crate) work: PointWork,
    /// Whether a reader of old data goes on beside.
    pub(crate) has_cold_reader: bool,
    /// Whether the server is watched while nobody asks it for anything, too.
    pub(crate) is_idle_watched: bool,
    /// A setting of the stream, besides those that all have.
    pub(crate) stream_setting: Option<(String, String)>,
}

impl PointPlan {
    /// Work with nothing beside it.
    pub(crate) fn new(work: PointWork, connections: usize, partitions: u32) -> Self {
        Self {
            phase: String::new(),
            connections,
            partitions,
            work,
            has_cold_reader: false,
            is_idle_watched: false,
            stream_setting: None,
        }
    }
}

/// One of those that take turns.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) target: usize,
    pub(crate) plan: PointPlan,
    /// Earlier lanes that its figures are put beside.
    pub(crate) beside: Vec<Beside>,
}

/// What of two lanes is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beside {
    /// The load of both.
    Load(usize),
    /// What went on beside the load of the later one, with the load of the earlier one.
    Background(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum PointWork {
    Device {
        shape: ringlog_device::Shape,
        record_bytes: usize,
        depth: usize,
    },
    Produce {
        shape: Shape,
        load: Load,
        is_followed: bool,
    },
    Consume {
        /// Of the requests that filled the stream.
        shape: Shape,
        is_decoding: bool,
        from: ReadFrom,
    },
    /// Appends in this process, without a network.
    Append {
        shape: Shape,
        in_flight: usize,
        to: AppendTo,
    },
}

/// What is appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendTo {
    /// Logs of the engine.
    Log,
    /// A file, with a raw program.
    File,
}

impl PointPlan {
    pub(crate) fn settings(&self, durability: Durability) -> PointSettings {
        let (record_bytes, batch_records, in_flight, rate) = match &self.work {
            PointWork::Device {
                record_bytes,
                depth,
                ..
            } => (*record_bytes, 1, Some(*depth), None),
            PointWork::Produce { shape, load, .. } => {
                let (in_flight, rate) = match *load {
                    Load::Closed { in_flight } => (Some(in_flight), None),
                    Load::Open { rate, .. } => (None, Some(rate)),
                };
                (shape.record_bytes, shape.batch_records, in_flight, rate)
            }
            PointWork::Consume { shape, .. } => {
                (shape.record_bytes, shape.batch_records, Some(1), None)
            }
            PointWork::Append {
                shape, in_flight, ..
            } => (
                shape.record_bytes,
                shape.batch_records,
                Some(*in_flight),
                None,
            ),
        };
        PointSettings {
            phase: self.phase.clone(),
            record_bytes,
            batch_records,
            connections: self.connections,
            partitions: self.partitions,
            in_flight,
            rate,
            durability,
        }
    }

    /// For a line of progress.
    pub(super) fn describe(&self) -> String {
        let settings = self.settings(Durability::Default);
        let mut text = String::new();
        if !self.phase.is_empty() {
            text.push_str(&format!("{}, ", self.phase));
        }
        text.push_str(&format!("{} B", settings.record_bytes));
        if settings.batch_records > 1 {
            text.push_str(&format!(" x {}", settings.batch_records));
        }
        text.push_str(&format!(", {} connection(s)", self.connections));
        if self.partitions > 1 {
            text.push_str(&format!(", {} partitions", self.partitions));
        }
        match (settings.rate, settings.in_flight) {
            (Some(rate), _) => text.push_str(&format!(", {rate:.0}/s")),
            (None, Some(in_flight)) if in_flight > 1 => {
                text.push_str(&format!(", {in_flight} in flight"));
            }
            _ => {}
        }
        text
    }
}
