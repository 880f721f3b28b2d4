//! Where a run took place: what a reader of its figures must know of the machine.

use std::collections::BTreeMap;
use std::path::Path;

use procfs::Current;

/// Names and values; what cannot be found out is left out.
pub(crate) fn environment(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            found.insert(name.to_owned(), value);
        }
    };
    put(
        "generator",
        Some(format!("ringlog {}", env!("CARGO_PKG_VERSION"))),
    );
    put(
        "revision",
        option_env!("RINGLOG_REVISION").map(str::to_owned),
    );
    let profile = option_env!("RINGLOG_PROFILE");
    put("profile", profile.map(str::to_owned));
    let uname = rustix::system::uname();
    let kernel = uname.release().to_str().ok();
    put("kernel", kernel.map(|release| format!("Linux {release}")));
    if let Ok(cpus) = procfs::CpuInfo::current() {
        let model = cpus.model_name(0).unwrap_or("unknown").to_owned();
        put(
            "processors",
            Some(format!("{} x {model}", cpus.num_cores())),
        );
    }
    if let Ok(memory) = procfs::Meminfo::current() {
        let gib = memory.mem_total.div_ceil(1 << 30);
        put("memory", Some(format!("{gib} GiB")));
    }
    put("file system", file_system(dir));
    found
}

/// The file system that holds a directory: its kind, its device and its options.
fn file_system(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = procfs::process::Process::myself().ok()?.mountinfo().ok()?;
    let holding = mounts
        .into_iter()
        .filter(|mount| dir.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.components().count())?;
    let mut options: Vec<&str> = holding.mount_options.keys().map(String::as_str).collect();
    options.sort_unstable();
    let device = holding.mount_source.unwrap_or_default();
    Some(format!(
        "{} on {device} ({})",
        holding.fs_type,
        options.join(",")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let found = environment(Path::new("."));
        for name in ["generator", "kernel", "processors", "memory", "file system"] {
            assert!(!found[name].is_empty(), "{name}");
        }
    }
}
