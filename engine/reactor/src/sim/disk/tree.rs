//! The directories of a simulated disk: the entries that programs see, the entries that are durable, and the
//! changes between them.
//!
//! Every create, link, rename and unlink of an entry is volatile until a sync of (one of) its directories
//! completes. When the power goes, either a prefix of the changes survives (an ordered journal) or any subset.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use super::content::Seq;
use crate::sim::random::Chance;

/// Names a file or directory of a disk.
pub(super) type Ino = u64;

/// The top directory.
pub(super) const ROOT: Ino = 1;

type Entries = BTreeMap<String, Ino>;

/// One change of entries; a rename is one change of up to two directories and is never half kept.
#[derive(Clone, Debug)]
struct Change {
    seq: Seq,
    removed: Option<(Ino, String)>,
    added: Option<(Ino, String, Ino)>,
}

impl Change {
    fn touches(&self, directory: Ino) -> bool {
        self.removed
            .as_ref()
            .is_some_and(|(parent, _)| *parent == directory)
            || self
                .added
                .as_ref()
                .is_some_and(|(parent, _, _)| *parent == directory)
    }

    fn apply(&self, directories: &mut BTreeMap<Ino, Entries>) {
        if let Some((parent, name)) = &self.removed
            && let Some(entries) = directories.get_mut(parent)
        {
            entries.remove(name);
        }
        if let Some((parent, name, ino)) = &self.added {
            directories
                .entry(*parent)
                .or_default()
                .insert(name.clone(), *ino);
        }
    }
}

pub(super) struct Tree {
    current: BTreeMap<Ino, Entries>,
    durable: BTreeMap<Ino, Entries>,
    changes: Vec<Change>,
    next: Ino,
}

/// Where a path leads: the directory that holds it, and its name there.
pub(super) struct Place {
    pub(super) parent: Ino,
    pub(super) name: String,
    pub(super) ino: Option<Ino>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let directories = BTreeMap::from([(ROOT, Entries::new())]);
        Self {
            current: directories.clone(),
            durable: directories,
            changes: Vec::new(),
            next: ROOT + 1,
        }
    }

    pub(super) fn is_directory(&self, ino: Ino) -> bool {
        self.current.contains_key(&ino)
    }

    /// The entries of a directory.
    pub(super) fn entries(&self, ino: Ino) -> io::Result<&Entries> {
        self.current
            .get(&ino)
            .ok_or_else(|| io::ErrorKind::NotADirectory.into())
    }

    /// The directory or file at `path`.
    pub(super) fn find(&self, path: &Path) -> io::Result<Ino> {
        let mut at = ROOT;
        for component in path.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            let entries = self.entries(at)?;
            at = *entries
                .get(&*name.to_string_lossy())
                .ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// The place of `path`, whose parent must exist.
    pub(super) fn place(&self, path: &Path) -> io::Result<Place> {
        let name = path
            .file_name()
            .ok_or(io::ErrorKind::InvalidInput)?
            .to_string_lossy()
            .into_owned();
        let parent = match path.parent() {
            Some(parent) => self.find(parent)?,
            None => ROOT,
        };
        let ino = self.entries(parent)?.get(&name).copied();
        Ok(Place { parent, name, ino })
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.changes.push(change);
    }

    fn new_ino(&mut self) -> Ino {
        let ino = self.next;
        self.next += 1;
        ino
    }

    /// Makes a file at a place that names nothing.
    pub(super) fn create(&mut self, place: &Place, seq: Seq) -> Ino {
        let ino = self.new_ino();
        self.change(Change {
            seq,
            removed: None,
            added: Some((place.parent, place.name.clone(), ino)),
        });
        ino
    }

    pub(super) fn mkdir(&mut self, path: &Path, seq: Seq) -> io::Result<Ino> {
        let place = self.place(path)?;
        if place.ino.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let ino = self.create(&place, seq);
        self.current.insert(ino, Entries::new());
        // An empty directory needs nothing but the entry that names it.
        self.durable.insert(ino, Entries::new());
        Ok(ino)
    }

    pub(super) fn unlink(&mut self, path: &Path, seq: Seq) -> io::Result<()> {
        let place = self.place(path)?;
        let ino = place.ino.ok_or(io::ErrorKind::NotFound)?;
        if self.is_directory(ino) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.change(Change {
            seq,
            removed: Some((place.parent, place.name)),
            added: None,
        });
        Ok(())
    }

    pub(super) fn rmdir(&mut self, path: &Path, seq: Seq) -> io::Result<()> {
        let place = self.place(path)?;
        let ino = place.ino.ok_or(io::ErrorKind::NotFound)?;
        if !self.entries(ino)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.change(Change {
            seq,
            removed: Some((place.parent, place.name)),
            added: None,
        });
        self.current.remove(&ino);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, seq: Seq) -> io::Result<()> {
        let source = self.place(from)?;
        let target = self.place(to)?;
        let ino = source.ino.ok_or(io::ErrorKind::NotFound)?;
        match target.ino {
            Some(same) if same == ino => return Ok(()),
            Some(other) if self.is_directory(other) => {
                if !self.is_directory(ino) {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                if !self.entries(other)?.is_empty() {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
            }
            Some(_) if self.is_directory(ino) => return Err(io::ErrorKind::NotADirectory.into()),
            _ => {}
        }
        let added = Some((target.parent, target.name, ino));
        self.change(Change {
            seq,
            removed: Some((source.parent, source.name)),
            added,
        });
        Ok(())
    }

    /// A sync of a directory that was submitted at `until` completed.
    pub(super) fn synced(&mut self, directory: Ino, until: Seq) {
        let durable = &mut self.durable;
        self.changes.retain(|change| {
            let covered = change.seq <= until && change.touches(directory);
            if covered {
                change.apply(durable);
            }
            !covered
        });
    }

    /// Whether a loss of power could change anything.
    pub(super) fn is_dirty(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The power went: some of the changes survive.
    pub(super) fn lose_power(&mut self, chance: &mut Chance) {
        let changes = std::mem::take(&mut self.changes);
        if chance.coin() {
            let kept = chance.index(changes.len() + 1);
            changes[..kept]
                .iter()
                .for_each(|change| change.apply(&mut self.durable));
        } else {
            for change in &changes {
                if chance.coin() {
                    change.apply(&mut self.durable);
                }
            }
        }
        let reachable = reachable(&self.durable);
        self.durable.retain(|ino, _| reachable.contains(ino));
        self.current = self.durable.clone();
    }

    /// Everything as it is now becomes durable at once.
    pub(super) fn make_durable(&mut self) {
        self.changes.clear();
        self.durable = self.current.clone();
    }

    /// Files and directories that the entries that programs see lead to.
    pub(super) fn visible(&self) -> BTreeSet<Ino> {
        reachable(&self.current)
    }

    /// Files and directories that may still be led to, now or after a loss of power.
    pub(super) fn referenced(&self) -> BTreeSet<Ino> {
        let mut all = self.visible();
        all.extend(
            self.durable
                .values()
                .flat_map(|entries| entries.values().copied()),
        );
        all.extend(
            self.changes
                .iter()
                .filter_map(|change| change.added.as_ref().map(|(_, _, ino)| *ino)),
        );
        all
    }
}

fn reachable(directories: &BTreeMap<Ino, Entries>) -> BTreeSet<Ino> {
    let mut found = BTreeSet::from([ROOT]);
    let mut queue = vec![ROOT];
    while let Some(directory) = queue.pop() {
        for &ino in directories
            .get(&directory)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            if found.insert(ino) && directories.contains_key(&ino) {
                queue.push(ino);
            }
        }
    }
    found
}
