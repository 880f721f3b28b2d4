//! The driver on a ring of Linux.
