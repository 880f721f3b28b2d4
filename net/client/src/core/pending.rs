//! Requests of one connection that have no answer: which of them may have reached the broker.
//!
//! A request is queued, then started when its first byte is about to be written, then answered. What ends before it
//! was started surely was not carried out; of what ends later nobody can say.

use std::collections::HashMap;

use ringlog_wire::CorrelationId;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing of it was written.
    Queued,
    /// It may have been carried out.
    Started,
}

/// The connection has ended, and takes no requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub reason: String,
}

/// The requests of a connection; `W` is who waits for an answer.
#[derive(Debug)]
pub struct Pending<W> {
    next_id: CorrelationId,
    waiting: HashMap<CorrelationId, (Progress, W)>,
    ended: Option<Ended>,
}

impl<W> Default for Pending<W> {
    fn default() -> Self {
        Self {
            // Zero was the hello.
            next_id: CorrelationId::new(1),
            waiting: HashMap::new(),
            ended: None,
        }
    }
}

impl<W> Pending<W> {
    /// Takes a request; its id is used once in the life of the connection.
    ///
    /// # Errors
    ///
    /// [`Ended`]: nothing was sent.
    pub fn queue(&mut self, waiting: W) -> Result<CorrelationId, Ended> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        let id = self.next_id;
        self.next_id = id.next();
        self.waiting.insert(id, (Progress::Queued, waiting));
        Ok(id)
    }

    /// The request is about to be written; false when nobody waits for it any more: then it must not be.
    pub fn start(&mut self, id: CorrelationId) -> bool {
        let waiting = self.waiting.get_mut(&id);
        waiting
            .map(|(progress, _)| *progress = Progress::Started)
            .is_some()
    }

    /// An answer came; who waits for it, if somebody does.
    pub fn answer(&mut self, id: CorrelationId) -> Option<W> {
        self.waiting.remove(&id).map(|(_, waiting)| waiting)
    }

    /// Nobody waits any more; how far the request had come, none when it had been answered.
    pub fn forget(&mut self, id: CorrelationId) -> Option<Progress> {
        self.waiting.remove(&id).map(|(progress, _)| progress)
    }

    /// The connection has ended. Gives all who wait, and how far their requests had come; the first reason stays.
    pub fn end(&mut self, reason: String) -> Vec<(Progress, W)> {
        self.ended.get_or_insert(Ended { reason });
        self.waiting.drain().map(|(_, one)| one).collect()
    }

    /// Why the connection has ended, if it has.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Requests without an answer.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether every request was answered.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests;
