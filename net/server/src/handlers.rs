//! One file for each kind of request. A handler takes a verified frame and gives the frame that answers it.

mod alter_partition_reassignment;
mod alter_topic;
mod create_topic;
mod delete_records;
mod delete_topic;
mod describe_cluster;
mod describe_topic;
mod drain_broker;
mod elect_leaders;
mod fetch;
mod groups;
mod init_producer;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod produce;
mod watch_cluster;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use ringlog_log::Slices;
use ringlog_reactor::Instant;
use ringlog_record::TopicPartition;
use ringlog_shard::{Budget, Share};
use ringlog_wire::{Api, Body, CheckedHead, ErrorCode, FrameHeader, Message, ProduceReceipt};
use smallvec::SmallVec;

pub(crate) use self::produce::Produce;
use crate::connection::Held;
use crate::control::request::ControlRequest;
use crate::ending::Ending;
use crate::failure::Failure;
use crate::shard::Shard;

/// A frame as it came in.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) header: FrameHeader,
    /// Header and body.
    pub(crate) head: CheckedHead,
    /// What follows the body.
    pub(crate) payload: Bytes,
    /// When its last byte had come in.
    pub(crate) received: Instant,
    /// The memory that it holds, when it is large.
    pub(crate) _memory: Option<Share>,
}

impl Request {
    /// The body, for the `decode` of its message.
    pub(crate) fn body(&self) -> Body<'_> {
        self.head.body()
    }
}

/// What an answer holds on to until it is sent: of the connection and of the shard.
pub(crate) type Memory = SmallVec<[Share; 2]>;

/// A frame as it goes out.
#[derive(Debug)]
pub(crate) struct Response {
    /// Header and body.
    pub(crate) head: Bytes,
    /// What follows the body.
    pub(crate) payload: Slices,
    /// The memory that the payload holds on to until it is sent.
    pub(crate) memory: Memory,
}

impl Response {
    /// One that is header and body.
    pub(crate) fn without_payload(head: Bytes) -> Self {
        Self {
            head,
            payload: Slices::new(),
            memory: Memory::new(),
        }
    }
}

/// What a request comes to: an answer, none when it wants none, or why it is refused as a whole.
pub(crate) type Outcome = Result<Option<Response>, Failure>;

/// A request that has come to its end.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) notes: Notes,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        let notes = Notes::default();
        Self { outcome, notes }
    }
}

/// What is worth knowing of a request afterwards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notes {
    /// What it was about, if one partition: the first of several, or the one acknowledged last.
    pub(crate) partition: Option<TopicPartition>,
    /// Bytes of records, in or out.
    pub(crate) bytes: u64,
    /// Where the time of a produce went that was acknowledged.
    pub(crate) stages: Option<ProduceReceipt>,
    /// How long it was parked because there was nothing for it.
    pub(crate) parked: Duration,
    /// When it ended, if that is known.
    pub(crate) ended: Option<Instant>,
}

/// A request that goes on by itself.
pub(crate) type Running = Pin<Box<dyn Future<Output = Ended>>>;

/// A request that was begun.
pub(crate) enum Begun {
    /// It is over already.
    Done(Ended),
    /// Its answer comes later; other requests may be begun meanwhile.
    Running(Running),
    /// A produce, whose answer comes later.
    Produce(Produce),
}

/// A request that goes on by itself, and of which nothing is worth knowing afterwards.
fn running(work: impl Future<Output = Outcome> + 'static) -> Begun {
    Begun::Running(Box::pin(async move { work.await.into() }))
}

/// A request that is over, and of which nothing is worth knowing afterwards.
fn done(outcome: Outcome) -> Begun {
    Begun::Done(outcome.into())
}

/// A request that is mostly over as soon as it is begun, and needs no task of its own then.
async fn at_once(mut work: Running) -> Begun {
    match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(ended) => Begun::Done(ended),
        Poll::Pending => Begun::Running(work),
    }
}

/// What the requests of one connection share.
pub(crate) struct Session {
    pub(crate) shard: Rc<Shard>,
    /// Bytes of records in the answers of this connection.
    pub(crate) answers: Budget,
    /// The client sends no more requests: nothing is worth waiting for.
    pub(crate) ending: Ending,
    /// How long the connection was held back.
    pub(crate) held: Held,
}

/// Begins a request. Only a produce does something before this returns, so that produces keep their order.
pub(crate) async fn begin(session: &Rc<Session>, api: Api, request: Request) -> Begun {
    let shard = &session.shard;
    if shard.is_draining() {
        return done(Err(Failure::shutting_down()));
    }
    let shard = Rc::clone(shard);
    match api {
        Api::Hello => done(Err(Failure::new(
            ErrorCode::InvalidRequest,
            "hello is the first request of a connection, and comes once",
        ))),
        Api::Produce => match produce::begin(&shard, request).await {
            Ok(produce) => Begun::Produce(produce),
            Err(failure) => done(Err(failure)),
        },
        Api::Fetch => at_once(Box::pin(fetch::handle(Rc::clone(session), request))).await,
        Api::Metadata => done(metadata::handle(&shard, &request)),
        Api::DescribeCluster => done(describe_cluster::handle(&shard, &request)),
        Api::ListOffsets => running(list_offsets::handle(shard, request)),
        Api::DeleteRecords => running(delete_records::handle(shard, request)),
        Api::CreateTopic => running(create_topic::handle(shard, request)),
        Api::DeleteTopic => running(delete_topic::handle(shard, request)),
        Api::AlterTopic => running(alter_topic::handle(shard, request)),
        Api::InitProducer => running(init_producer::handle(shard, request)),
        Api::OffsetCommit => running(offset_commit::handle(shard, request)),
        Api::OffsetFetch => running(offset_fetch::handle(shard, request)),
        Api::DrainBroker => running(drain_broker::handle(shard, request)),
        Api::ElectLeaders => running(elect_leaders::handle(shard, request)),
        Api::AlterPartitionReassignment => {
            running(alter_partition_reassignment::handle(shard, request))
        }
        Api::WatchCluster => running(watch_cluster::handle(Rc::clone(session), request)),
        Api::DescribeTopic => running(describe_topic::handle(shard, request)),
    }
}

impl Shard {
    /// Answers a request with a message that has no payload.
    pub(crate) fn respond<M: Message>(&self, request: &Request, message: &M) -> Outcome {
        let head = self.encode(request.header.correlation_id(), message)?;
        Ok(Some(Response::without_payload(head)))
    }

    /// Asks the control task.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> ControlRequest,
    ) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        self.control.try_send(request(answer)).map_err(|_| {
            let message = "too many administrative requests wait; nothing was done";
            Failure::new(ErrorCode::Throttled, message)
        })?;
        answered.await.unwrap_or_else(|_| {
            let message = "the broker stopped before it answered; ask again whether it was done";
            Err(Failure::new(ErrorCode::UnknownOutcome, message))
        })
    }
}
