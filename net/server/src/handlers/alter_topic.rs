//! Alter topic: the control task changes the settings; they are in force when this is answered.

use std::rc::Rc;

use ringlog_wire::AlterTopicRequest;

use super::{Outcome, Request};
use crate::control::request::ControlRequest;
use crate::shard::Shard;

pub(super) async fn handle(shard: Rc<Shard>, request: Request) -> Outcome {
    let wanted = AlterTopicRequest::decode(request.body())?;
    let altered = shard.ask(|answer| ControlRequest::AlterTopic(wanted, answer));
    shard.respond(&request, &altered.await?)
}
