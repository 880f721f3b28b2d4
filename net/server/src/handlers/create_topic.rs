//! Create topic: the control task makes it; it can be produced to when this is answered.

use std::rc::Rc;

use ringlog_wire::CreateTopicRequest;

use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::shard::Shard;

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let wanted = CreateTopicRequest::decode(request.body())?;
    let created = shard.ask(|answer| ControlRequest::CreateTopic(wanted, answer));
    shard.respond(&request, &created.await?)
}
