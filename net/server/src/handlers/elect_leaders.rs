//! Elect leaders: the controller has the preferred brokers lead, where they can.

use std::rc::Rc;

use ringlog_wire::ElectLeadersRequest;

use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::shard::Shard;

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let topic = ElectLeadersRequest::decode(request.body())?.topic;
    let done = shard.ask(|answer| ControlRequest::ElectLeaders(topic, answer));
    shard.respond(&request, &done.await?)
}
