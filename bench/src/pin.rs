//! Which processor asks and which serves: the same for the broker and the raw program.

use ringlog_device::Placement;

/// The generator on the first processor, where `ringlog broker --cores auto` leaves it, the server on the last one.
pub(crate) fn placement() -> Placement {
    let usual = Placement::first_and_last();
    Placement {
        server_cpu: usual.client_cpu,
        client_cpu: usual.server_cpu,
    }
}

/// Pins the calling thread to the generator's processor, and says whether that was done.
pub(crate) fn pin_generator() -> bool {
    placement()
        .client_cpu
        .is_some_and(|cpu| core_affinity::set_for_current(core_affinity::CoreId { id: cpu }))
}
