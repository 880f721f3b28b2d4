//! Alter partition reassignment: the controller gives a partition other replicas, or stops doing so.

use std::rc::Rc;

use ringlog_wire::AlterPartitionReassignmentRequest;

use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::shard::Shard;

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let wanted = AlterPartitionReassignmentRequest::decode(request.body())?;
    let done = shard.ask(|answer| ControlRequest::Reassign(wanted, answer));
    shard.respond(&request, &done.await?)
}
