//! Watch cluster: waits until the shard has another picture of the cluster.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::select;
use ringlog_wire::{WatchClusterRequest, WatchClusterResponse};

use super::{Outcome, Request, Session};
use crate::limits::FETCH_WAIT_MAX;

pub(super) async fn handle(session: Rc<Session>, request: Request) -> Outcome {
    let wanted = WatchClusterRequest::decode(request.body())?;
    let shard = &session.shard;
    let wait = Duration::from_millis(wanted.max_wait_ms.into()).min(FETCH_WAIT_MAX);
    let changed = pin!(async {
        while shard.view().picture == wanted.seen {
            shard.next_view().await;
        }
    });
    let over = select(shard.drain_began(), session.ending.wait());
    let first = select(changed, over);
    // When the time is over the picture is the same.
    shard.reactor.timeout(wait, first).await.ok();
    let picture = shard.view().picture;
    shard.respond(&request, &WatchClusterResponse { picture })
}
