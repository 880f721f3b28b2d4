//! Delete topic: the control task removes it; it is gone for good when this is answered.

use std::rc::Rc;

use ringlog_wire::DeleteTopicRequest;

use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::shard::Shard;

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let name = DeleteTopicRequest::decode(request.body())?.name;
    let deleted = shard.ask(|answer| ControlRequest::DeleteTopic(name, answer));
    shard.respond(&request, &deleted.await?)
}
