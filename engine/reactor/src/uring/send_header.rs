//! Message headers of vectored sends.

use bytes::Bytes;

use crate::limits::{SEND_HEADERS_FREE_MAX, SEND_SLICES_MAX};

/// The message header of a vectored send. Reused, since it is a kilobyte that every send would allocate.
pub(super) struct SendHeader {
    pub(super) message: libc::msghdr,
    slices: [libc::iovec; SEND_SLICES_MAX],
}

impl SendHeader {
    fn new() -> Box<Self> {
        // SAFETY: all zeros is a valid msghdr: null pointers and zero lengths.
        let message = unsafe { std::mem::zeroed() };
        let empty = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        Box::new(Self {
            message,
            slices: [empty; SEND_SLICES_MAX],
        })
    }

    /// Points the header at the slices.
    pub(super) fn fill(&mut self, data: &[Bytes]) {
        let count = data.len().min(SEND_SLICES_MAX);
        for (slice, bytes) in self.slices.iter_mut().zip(data) {
            *slice = libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            };
        }
        self.message.msg_iov = self.slices.as_mut_ptr();
        self.message.msg_iovlen = count;
    }
}

/// Send headers that lie free.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "the kernel holds the address of a header, so it must not move"
)]
pub(super) struct SendHeaders(Vec<Box<SendHeader>>);

impl SendHeaders {
    pub(super) fn take(&mut self) -> Box<SendHeader> {
        self.0.pop().unwrap_or_else(SendHeader::new)
    }

    pub(super) fn give_back(&mut self, header: Box<SendHeader>) {
        if self.0.len() < SEND_HEADERS_FREE_MAX {
            self.0.push(header);
        }
    }
}
