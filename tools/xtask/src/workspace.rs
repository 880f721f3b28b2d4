//! The workspace as cargo and git see it, and how commands are run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Findings;

/// One profile for clippy, tests, simulation and documents: build scripts and procedural macros are built once.
pub(crate) const PROFILE: [&str; 2] = ["--profile", "checked"];

/// The workspace that this program was built in.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) crates: Vec<Crate>,
    /// Every file that git tracks or would, relative to the root, sorted; those deleted from disk left out.
    pub(crate) files: Vec<String>,
}

/// A crate of the workspace.
#[derive(Debug)]
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a crate depends on.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) for_tests_only: bool,
}

/// Which build of a program is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Build {
    /// Cargo sees to it that it is of the source as it is now.
    Fresh,
    /// The one of the tests, which ran just now. Cargo would build all that the program depends on again, since it
    /// chooses other features of that for one package than for the workspace.
    OfTests,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self, Findings> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let metadata = output(
            cargo()
                .args(["metadata", "--offline", "--no-deps"])
                .args(["--format-version", "1"])
                .current_dir(here),
        )?;
        let metadata: Value = serde_json::from_str(&metadata)
            .map_err(|error| vec![format!("cargo metadata is not JSON: {error}")])?;
        let root = PathBuf::from(text(&metadata["workspace_root"]));
        let mut crates: Vec<Crate> = items(&metadata["packages"])
            .map(|package| read_crate(&root, package))
            .collect();
        crates.sort_by(|a, b| a.folder.cmp(&b.folder));
        let listed = output(
            Command::new("git")
                .args(["ls-files", "--cached", "--others", "--exclude-standard"])
                .current_dir(&root),
        )?;
        let mut files: Vec<String> = listed
            .lines()
            .filter(|file| root.join(file).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(Self {
            target: PathBuf::from(text(&metadata["target_directory"])),
            root,
            crates,
            files,
        })
    }

    /// The text of a file, relative to the root.
    pub(crate) fn read(&self, file: &str) -> Result<String, Findings> {
        fs::read_to_string(self.root.join(file))
            .map_err(|error| vec![format!("{file}: cannot be read: {error}")])
    }

    /// The files with this ending.
    pub(crate) fn files_ending(&self, ending: &str) -> impl Iterator<Item = &str> {
        self.files
            .iter()
            .map(String::as_str)
            .filter(move |file| file.ends_with(ending))
    }

    /// The program of a package, in [`PROFILE`]; arguments are to follow.
    pub(crate) fn program(&self, package: &str, build: Build) -> Command {
        match build {
            Build::Fresh => {
                let mut run = cargo();
                run.arg("run").args(PROFILE);
                run.args(["--package", package, "--"]);
                run
            }
            Build::OfTests => Command::new(self.target.join("checked").join(package)),
        }
    }

    /// Runs a command in the root with its output shown, and turns failure into a finding.
    pub(crate) fn run(&self, command: &mut Command) -> Result<(), Findings> {
        let shown = shown(command);
        println!("$ {shown}");
        match command.current_dir(&self.root).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(vec![format!("{shown}: {status}")]),
            Err(error) => Err(vec![format!("{shown}: cannot be started: {error}")]),
        }
    }
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// What a command prints, or why it failed.
pub(crate) fn output(command: &mut Command) -> Result<String, Findings> {
    let shown = shown(command);
    let output = command
        .output()
        .map_err(|error| vec![format!("{shown}: cannot be started: {error}")])?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(vec![format!("{shown}: {}\n{}", output.status, said.trim())])
    }
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name();
    let mut words = vec![program.unwrap_or_default().to_string_lossy()];
    words.extend(command.get_args().map(|word| word.to_string_lossy()));
    words.join(" ")
}

fn read_crate(root: &Path, package: &Value) -> Crate {
    let manifest = Path::new(text(&package["manifest_path"]));
    let folder = manifest.parent().unwrap_or(manifest);
    let folder = folder.strip_prefix(root).unwrap_or(folder);
    let dependencies = items(&package["dependencies"]).map(|dependency| Dependency {
        name: text(&dependency["name"]).to_owned(),
        for_tests_only: dependency["kind"] == "dev",
    });
    Crate {
        name: text(&package["name"]).to_owned(),
        folder: folder.to_string_lossy().into_owned(),
        dependencies: dependencies.collect(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
