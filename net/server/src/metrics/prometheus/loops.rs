//! What the loops of the cores have done, and which tasks held them for too long.

use std::fmt::Write;

use super::head;
use crate::metrics::ShardMetrics;

pub(super) fn write(text: &mut String, shards: &[ShardMetrics]) -> std::fmt::Result {
    let help = "Time that the loop of a core spent in tasks.";
    head(text, "loop_busy_seconds_total", "counter", help)?;
    for shard in shards {
        let busy = shard.loops.busy.as_secs_f64();
        writeln!(
            text,
            "ringlog_loop_busy_seconds_total{{shard=\"{}\"}} {busy}",
            shard.shard
        )?;
    }
    let help =
        "The longest time that the tasks of one turn of the loop took together, since the start.";
    head(text, "loop_longest_turn_seconds", "gauge", help)?;
    for shard in shards {
        let longest = shard.loops.longest_turn.as_secs_f64();
        writeln!(
            text,
            "ringlog_loop_longest_turn_seconds{{shard=\"{}\"}} {longest}",
            shard.shard
        )?;
    }
    let help = "Polls of a task that held its core for more than 2 ms.";
    head(text, "stalls_total", "counter", help)?;
    each_stall(shards, |labels, stall| {
        writeln!(text, "ringlog_stalls_total{{{labels}}} {}", stall.count)
    })?;
    let help = "The longest stall of a task, since the start.";
    head(text, "stall_longest_seconds", "gauge", help)?;
    each_stall(shards, |labels, stall| {
        let longest = stall.longest.as_secs_f64();
        writeln!(text, "ringlog_stall_longest_seconds{{{labels}}} {longest}")
    })
}

fn each_stall(
    shards: &[ShardMetrics],
    mut write: impl FnMut(&str, &ringlog_reactor::StallCount) -> std::fmt::Result,
) -> std::fmt::Result {
    for shard in shards {
        for stall in &shard.loops.stalls {
            // Names of tasks are literals of this program, without anything to be escaped.
            let labels = format!("shard=\"{}\",task=\"{}\"", shard.shard, stall.task);
            write(&labels, stall)?;
        }
    }
    Ok(())
}
