//! What this machine offers to a ring.
