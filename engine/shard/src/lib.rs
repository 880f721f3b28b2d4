//! The generic runtime of a pinned core: start, mailboxes, router.
#![forbid(unsafe_code)]
