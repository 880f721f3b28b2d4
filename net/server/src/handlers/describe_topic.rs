//! Describe topic: its settings from the control task, the state of its partitions from their shards.

use std::rc::Rc;

use ringlog_wire::DescribeTopicRequest;

use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::shard::Shard;

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let name = DescribeTopicRequest::decode(request.body())?.name;
    let described = shard.ask(|answer| ControlRequest::DescribeTopic(name, answer));
    shard.respond(&request, &described.await?)
}
