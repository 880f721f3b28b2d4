//! Drain broker: the controller gives it nothing new, and gives to others what they can lead.

use std::rc::Rc;

use ringlog_wire::DrainBrokerRequest;

use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::shard::Shard;

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let broker = DrainBrokerRequest::decode(request.body())?.broker;
    let done = shard.ask(|answer| ControlRequest::DrainBroker(broker, answer));
    shard.respond(&request, &done.await?)
}
