use std::io;

use super::is_of_device;

#[test]
fn what_the_process_is_short_of_is_not_the_device() {
    let (no_memory, no_descriptor, again) = (12, 24, 11);
    for error in [no_memory, no_descriptor, super::ENFILE, again] {
        assert!(!is_of_device(&io::Error::from_raw_os_error(error)));
    }
    let (io_error, no_device, not_clean) = (5, 19, 117);
    for error in [io_error, no_device, not_clean] {
        assert!(is_of_device(&io::Error::from_raw_os_error(error)));
    }
    assert!(is_of_device(&io::ErrorKind::TimedOut.into()));
    assert!(is_of_device(&io::ErrorKind::NotFound.into()));
}
