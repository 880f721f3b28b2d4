//! What all clients of the scenario share: the reactor, the address, and what is known.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringlog_reactor::Reactor;
use ringlog_record::{Offset, TopicPartition};
use ringlog_wire::{
    ErrorCode, FetchPartition, FetchRequestDraft, FetchResponse, MetadataRequest, MetadataResponse,
    PartitionState, TopicSelection,
};

use super::knowledge::Knowledge;
use super::wire::{Connection, Frame, Stop, wrong};
use crate::batch::decode;
use crate::history::ReadRecord;

/// A client machine's view.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) reactor: Reactor,
    pub(crate) knowledge: Rc<RefCell<Knowledge>>,
    pub(crate) address: SocketAddr,
    pub(crate) shards: u16,
    /// Whether settings of topics are changed.
    pub(crate) alters: bool,
}

/// What came of one partition of a fetch.
pub(crate) struct Fetched {
    pub(crate) id: TopicPartition,
    pub(crate) error: ErrorCode,
    pub(crate) state: PartitionState,
    pub(crate) agreed_end: Option<Offset>,
    pub(crate) records: Vec<ReadRecord>,
}

impl Client {
    pub(crate) fn random_below(&self, bound: u64) -> u64 {
        self.reactor.random_u64() % bound.max(1)
    }

    pub(crate) async fn pause(&self, us_max: u64) {
        let pause = Duration::from_micros(self.random_below(us_max));
        self.reactor.sleep(pause).await;
    }

    /// Connects to any shard, at times to one that the broker does not have.
    pub(crate) async fn connect(&self) -> Result<Connection, Stop> {
        let shard = self.random_below(u64::from(self.shards) + 1);
        let shard = u16::try_from(shard)
            .ok()
            .filter(|&shard| shard < self.shards);
        Connection::connect(&self.reactor, self.address, shard).await
    }

    /// Runs `body` for ever, over a new connection whenever one is gone.
    pub(crate) async fn for_ever(
        self,
        mut body: impl AsyncFnMut(&Self, Connection) -> Result<(), Stop>,
    ) {
        loop {
            let ended = match self.connect().await {
                Ok(connection) => body(&self, connection).await,
                Err(stop) => Err(stop),
            };
            if let Err(Stop::Violation(violation)) = ended {
                self.knowledge.borrow_mut().check(Err(violation));
                return;
            }
            self.pause(500).await;
        }
    }

    /// Whether an administrative request was refused. It may be for now, or because the metadata store fails.
    pub(crate) fn is_refused(&self, answer: &Frame) -> Result<bool, Stop> {
        let Some(refusal) = answer.refusal()? else {
            return Ok(false);
        };
        let knowledge = &mut *self.knowledge.borrow_mut();
        match refusal.code {
            error if error.is_retriable() => knowledge.met.requests_refused += 1,
            ErrorCode::Internal | ErrorCode::UnknownOutcome if knowledge.store_fails => {
                knowledge.met.store_failures += 1;
            }
            error => return Err(wrong(0, format!("refused with {error}"))),
        }
        Ok(true)
    }

    pub(crate) async fn metadata(
        &self,
        connection: &mut Connection,
    ) -> Result<MetadataResponse, Stop> {
        let request = MetadataRequest {
            topics: TopicSelection::All,
        };
        let answer = connection.call(&request).await?;
        MetadataResponse::decode(answer.body()?).map_err(|error| wrong(0, error.to_string()))
    }
}

/// A fetch of a few partitions.
pub(crate) fn fetch_draft(
    partitions: &[FetchPartition],
    max_wait_ms: u32,
) -> FetchRequestDraft<'_> {
    FetchRequestDraft {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        partitions,
    }
}

/// What came of a fetch.
pub(crate) fn fetched(frame: &Frame) -> Result<Vec<Fetched>, Stop> {
    let response =
        FetchResponse::decode(frame.body()?).map_err(|error| wrong(0, error.to_string()))?;
    let payload = frame.payload();
    let partitions = response.slices().map(|(one, range)| {
        Ok(Fetched {
            id: one.id,
            error: one.error,
            state: one.state,
            agreed_end: one.agreed_end,
            records: decode(one.id.partition.get(), &[payload.slice(range)])?,
        })
    });
    partitions.collect()
}
