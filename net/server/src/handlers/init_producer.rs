//! Init producer: the control task hands out an id that nobody else has.

use std::rc::Rc;

use ringlog_wire::InitProducerRequest;

use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::shard::Shard;

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    InitProducerRequest::decode(request.body())?;
    let given = shard.ask(ControlRequest::InitProducer);
    shard.respond(&request, &given.await?)
}
