//! Raw io_uring yardsticks: the physical limits that the broker is measured against.
