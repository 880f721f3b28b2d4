//! What this machine offers to a ring, for `ringlog doctor` and the start of a broker.
//!
//! Every check gives one [`Finding`]: a verdict, and one sentence that says what was found and, unless all is
//! well, what to change. Called once, before any ring runs; it may block and writes one small file into the data
//! directory, which it removes.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::build_ring;
use crate::limits::BLOCK_BYTES;

/// Least memlock limit that the ring and the maintenance executor need, in bytes.
const MEMLOCK_BYTES_MIN: u64 = 512 << 10;

/// Oldest kernel that is supported.
const KERNEL_MIN: (u32, u32) = (6, 1);

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A broker runs, but not as well as it could.
    Warn,
    /// A broker cannot run.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was checked, one word in snake_case.
    pub name: &'static str,
    /// How it turned out.
    pub verdict: Verdict,
    /// One sentence: what was found, and what to change.
    pub sentence: String,
}

impl Finding {
    fn new(name: &'static str, verdict: Verdict, sentence: impl Into<String>) -> Self {
        Self {
            name,
            verdict,
            sentence: sentence.into(),
        }
    }
}

/// Looks at the kernel and its limits, and at the file system and device below `data_dir` (or below its nearest
/// parent that exists).
pub fn probe(data_dir: &Path) -> Vec<Finding> {
    let dir = nearest_existing(data_dir);
    vec![
        kernel(),
        io_uring_disabled(),
        ring(),
        memlock(),
        super::descriptors::finding(),
        direct_io(&dir),
        write_cache(&dir),
    ]
}

fn nearest_existing(path: &Path) -> PathBuf {
    let existing = path.ancestors().find(|ancestor| ancestor.is_dir());
    match existing {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn kernel() -> Finding {
    const NAME: &str = "kernel";
    let release = match fs::read_to_string("/proc/sys/kernel/osrelease") {
        Ok(release) => release.trim().to_owned(),
        Err(error) => {
            let sentence = format!(
                "The kernel's release could not be read from /proc ({error}); mount /proc."
            );
            return Finding::new(NAME, Verdict::Warn, sentence);
        }
    };
    judge_kernel(&release)
}

fn judge_kernel(release: &str) -> Finding {
    const NAME: &str = "kernel";
    let (major, minor) = KERNEL_MIN;
    match parse_release(release) {
        Some(version) if version >= KERNEL_MIN => {
            Finding::new(NAME, Verdict::Ok, format!("Linux {release}."))
        }
        Some(_) => {
            let sentence = format!("Linux {release} is too old; run {major}.{minor} or newer.");
            Finding::new(NAME, Verdict::Fail, sentence)
        }
        None => {
            let sentence = format!(
                "The release \"{release}\" is not understood; run Linux {major}.{minor} or newer."
            );
            Finding::new(NAME, Verdict::Warn, sentence)
        }
    }
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn io_uring_disabled() -> Finding {
    const NAME: &str = "io_uring_disabled";
    match fs::read_to_string("/proc/sys/kernel/io_uring_disabled") {
        Ok(setting) => judge_io_uring_disabled(setting.trim()),
        // Kernels before 6.6 have no such switch.
        Err(_) => Finding::new(NAME, Verdict::Ok, "io_uring is not restricted by a sysctl."),
    }
}

fn judge_io_uring_disabled(setting: &str) -> Finding {
    const NAME: &str = "io_uring_disabled";
    match setting {
        "0" => Finding::new(NAME, Verdict::Ok, "io_uring is open to every process."),
        "1" => Finding::new(
            NAME,
            Verdict::Warn,
            "io_uring is open only to privileged processes and to the group in kernel.io_uring_group; \
             put the broker's user into that group or set kernel.io_uring_disabled=0.",
        ),
        _ => Finding::new(
            NAME,
            Verdict::Fail,
            format!(
                "kernel.io_uring_disabled is {setting}, which refuses io_uring to everyone; set it to 0."
            ),
        ),
    }
}

fn ring() -> Finding {
    // On a thread of its own: a ring belongs to the thread that makes it.
    let result = std::thread::Builder::new()
        .name("ring-probe".to_owned())
        .spawn(|| build_ring().map(drop))
        .and_then(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the probe panicked")))
        });
    judge_ring(result)
}

fn judge_ring(result: io::Result<()>) -> Finding {
    const NAME: &str = "ring";
    let Err(error) = result else {
        return Finding::new(NAME, Verdict::Ok, "A ring can be created.");
    };
    let advice = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "allow the io_uring system calls: kernel.io_uring_disabled=0, and in a container a seccomp profile \
             that permits them"
        }
        Some(libc::ENOSYS) => {
            "run a kernel with io_uring, or in a container a seccomp profile that permits it"
        }
        Some(libc::ENOMEM) => {
            "raise the memlock limit (ulimit -l, LimitMEMLOCK=) or the memory of the container"
        }
        Some(libc::EINVAL) => "run Linux 6.1 or newer, which knows the ring's set-up flags",
        Some(libc::EMFILE | libc::ENFILE) => {
            "raise the limit of open files (ulimit -n, LimitNOFILE=)"
        }
        _ => "see the error",
    };
    Finding::new(
        NAME,
        Verdict::Fail,
        format!("No ring can be created ({error}); {advice}."),
    )
}

fn memlock() -> Finding {
    const NAME: &str = "memlock";
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the destination is an rlimit.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    if result != 0 {
        let error = io::Error::last_os_error();
        return Finding::new(
            NAME,
            Verdict::Warn,
            format!("The memlock limit could not be read ({error})."),
        );
    }
    judge_memlock(limit.rlim_cur)
}

fn judge_memlock(limit_bytes: u64) -> Finding {
    const NAME: &str = "memlock";
    let limit = if limit_bytes == libc::RLIM_INFINITY {
        "unlimited".to_owned()
    } else {
        format!("{} KiB", limit_bytes / 1024)
    };
    if limit_bytes >= MEMLOCK_BYTES_MIN {
        return Finding::new(NAME, Verdict::Ok, format!("The memlock limit is {limit}."));
    }
    let sentence = format!(
        "The memlock limit is {limit}, so segment files are not prepared ahead and rolls are slower; raise it to \
         at least {} KiB (ulimit -l, LimitMEMLOCK=).",
        MEMLOCK_BYTES_MIN / 1024
    );
    Finding::new(NAME, Verdict::Warn, sentence)
}

fn direct_io(dir: &Path) -> Finding {
    const NAME: &str = "direct_io";
    let shown = dir.display();
    match direct_alignment(dir) {
        Ok(Some(alignment)) if alignment.memory_bytes == 0 || alignment.offset_bytes == 0 => {
            let sentence = format!("The file system of {shown} has no O_DIRECT; use ext4 or xfs.");
            Finding::new(NAME, Verdict::Fail, sentence)
        }
        Ok(Some(alignment)) if alignment.largest() > BLOCK_BYTES => {
            let sentence = format!(
                "Direct I/O in {shown} wants blocks of {} bytes; use a device and file system with at most \
                 {BLOCK_BYTES}.",
                alignment.largest()
            );
            Finding::new(NAME, Verdict::Fail, sentence)
        }
        Ok(Some(alignment)) => {
            let sentence = format!(
                "Direct I/O works in {shown} (memory aligned to {}, positions to {} bytes).",
                alignment.memory_bytes, alignment.offset_bytes
            );
            Finding::new(NAME, Verdict::Ok, sentence)
        }
        Ok(None) => {
            let sentence = format!(
                "Direct I/O opens in {shown}, but the file system does not tell its alignment; ext4 and xfs do."
            );
            Finding::new(NAME, Verdict::Warn, sentence)
        }
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let sentence = format!("The file system of {shown} has no O_DIRECT; use ext4 or xfs.");
            Finding::new(NAME, Verdict::Fail, sentence)
        }
        Err(error) => {
            let sentence = format!(
                "No file can be created in {shown} ({error}); make it writable for the broker."
            );
            Finding::new(NAME, Verdict::Fail, sentence)
        }
    }
}

struct Alignment {
    memory_bytes: usize,
    offset_bytes: usize,
}

impl Alignment {
    fn largest(&self) -> usize {
        self.memory_bytes.max(self.offset_bytes)
    }
}

/// The alignment of direct I/O in a directory, where the file system tells it.
fn direct_alignment(dir: &Path) -> io::Result<Option<Alignment>> {
    let path = dir.join(format!(".ringlog-probe-{}", std::process::id()));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(libc::O_DIRECT)
        .open(&path);
    let removed = fs::remove_file(&path);
    let file = file?;
    removed?;
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    let mask = libc::STATX_DIOALIGN;
    let empty = c"".as_ptr();
    // SAFETY: the descriptor is open, the path is empty and terminated, the answer has room for the structure.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            empty,
            libc::AT_EMPTY_PATH,
            mask,
            answer.as_mut_ptr(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the structure was zeroed, which is a valid value of it, and filled by statx.
    let answer = unsafe { answer.assume_init() };
    if answer.stx_mask & libc::STATX_DIOALIGN == 0 {
        return Ok(None);
    }
    let memory_bytes = usize::try_from(answer.stx_dio_mem_align).map_err(io::Error::other)?;
    let offset_bytes = usize::try_from(answer.stx_dio_offset_align).map_err(io::Error::other)?;
    Ok(Some(Alignment {
        memory_bytes,
        offset_bytes,
    }))
}

fn write_cache(dir: &Path) -> Finding {
    const NAME: &str = "write_cache";
    let shown = dir.display();
    match write_cache_mode(dir).as_deref() {
        Some("write back") => Finding::new(
            NAME,
            Verdict::Ok,
            format!(
                "The device of {shown} has a volatile write cache: durable writes are flushed with fdatasync."
            ),
        ),
        Some("write through") => Finding::new(
            NAME,
            Verdict::Ok,
            format!(
                "The device of {shown} has no volatile write cache: durable writes are single writes (RWF_DSYNC), \
                 unless the broker spins."
            ),
        ),
        _ => Finding::new(
            NAME,
            Verdict::Warn,
            format!(
                "The write cache of the device of {shown} is not known to the kernel, so check that fdatasync is \
                 honoured below it (network, overlay and stacked file systems may not)."
            ),
        ),
    }
}

/// Whether the kernel knows that what the device below `dir` (or below its nearest parent that exists) has written is
/// durable.
pub(super) fn has_no_volatile_cache(dir: &Path) -> bool {
    write_cache_mode(&nearest_existing(dir)).as_deref() == Some("write through")
}

/// `write back` or `write through`, as the kernel sees the device below a directory.
fn write_cache_mode(dir: &Path) -> Option<String> {
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let block = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // A partition has no queue of its own; its disk is the folder above.
    let disks = [Some(block.as_path()), block.parent()];
    let mode = disks
        .into_iter()
        .flatten()
        .find_map(|disk| fs::read_to_string(disk.join("queue/write_cache")).ok())?;
    Some(mode.trim().to_owned())
}

#[cfg(test)]
mod tests;
