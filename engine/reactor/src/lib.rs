//! The reactor of a pinned core: executor, timers, mailboxes, buffers, and the I/O driver seam.
