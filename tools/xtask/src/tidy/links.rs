//! Links in documents lead to files that are there.

use crate::Findings;
use crate::workspace::Workspace;

/// Looks for links to files that are not there.
pub(super) fn check(workspace: &Workspace) -> Result<Findings, Findings> {
    let mut findings = Findings::new();
    for file in workspace.files_ending(".md") {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, target) in links(&workspace.read(file)?) {
            if !workspace.root.join(folder).join(&target).exists() {
                findings.push(format!("{file}:{line}: {target} is not there"));
            }
        }
    }
    Ok(findings)
}

/// The links of a document that lead to files, with the number of their line, without what follows a `#`.
fn links(document: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (index, line) in document.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let rest = line.get(at + 2..).unwrap_or_default();
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !target.contains(':') {
                links.push((index + 1, file.to_owned()));
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_files_are_followed() {
        let document = "[a](b.md) and [c](d.md#e)\n[f](#g) [h](scheme:i)\n```\n[j](k)\n```\n[l](m)";
        let found = links(document);
        let found: Vec<_> = found
            .iter()
            .map(|(line, file)| (*line, file.as_str()))
            .collect();
        assert_eq!(found, [(1, "b.md"), (1, "d.md"), (6, "m")]);
    }
}
