//! Rust source without what is not code, so that words can be looked for.

/// The source with comments, strings and characters blanked out; every line keeps its number.
pub(crate) fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped_end(&chars, at);
        if end == at {
            code.extend(chars.get(at));
            at += 1;
        } else {
            let skipped = chars.get(at..end).unwrap_or_default();
            code.push(' ');
            code.extend(skipped.iter().filter(|char| **char == '\n'));
            at = end;
        }
    }
    code
}

/// The end of the comment or literal that begins here; `at` itself when none does.
fn skipped_end(chars: &[char], at: usize) -> usize {
    let char = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    match (char(0), char(1)) {
        ('/', '/') => find(chars, at, |chars| chars.starts_with(&['\n'])),
        ('/', '*') => block_comment_end(chars, at),
        ('"', _) => string_end(chars, at + 1),
        ('\'', '\\') => find(chars, at + 3, |chars| chars.starts_with(&['\''])) + 1,
        ('\'', _) if char(2) == '\'' => at + 3,
        ('r', '"' | '#') if !continues_a_word(chars, at) => raw_string_end(chars, at),
        _ => at,
    }
    .min(chars.len())
}

fn continues_a_word(chars: &[char], at: usize) -> bool {
    // `br"` is a string too; any other letter in front belongs to a name that ends in r.
    at.checked_sub(1)
        .and_then(|before| chars.get(before))
        .is_some_and(|char| is_word(*char) && *char != 'b')
}

fn find(chars: &[char], from: usize, is_end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len())
        .find(|at| chars.get(*at..).is_some_and(&is_end))
        .unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while let Some(rest) = chars.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if rest.starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while let Some(char) = chars.get(at) {
        match char {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// The end of the raw string that begins with this `r`; `at` itself when it is a raw name.
fn raw_string_end(chars: &[char], at: usize) -> usize {
    let rest = chars.get(at + 1..).unwrap_or_default();
    let hashes = rest.iter().take_while(|char| **char == '#').count();
    if rest.get(hashes) != Some(&'"') {
        return at;
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    find(chars, at + 2 + hashes, |chars| chars.starts_with(&close)) + close.len()
}

/// Code with the modules that only tests have blanked out.
pub(crate) fn without_test_modules(code: &str) -> String {
    let mut kept = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        kept.push('\n');
        let mut depth = 0_usize;
        for line in lines.by_ref() {
            kept.push('\n');
            depth += line.matches('{').count();
            depth = depth.saturating_sub(line.matches('}').count());
            let is_attribute = line.trim_start().starts_with("#[");
            if depth == 0 && !is_attribute {
                break;
            }
        }
    }
    kept
}

/// Whether the whole file is for tests.
pub(crate) fn is_test_file(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

/// The words of code with the number of their line, paths like `std::fs::read` as one word.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().flat_map(|(index, line)| {
        line.split(|char: char| !is_word(char) && char != ':')
            .map(|word| word.trim_matches(':'))
            .filter(|word| !word.is_empty())
            .map(move |word| (index + 1, word))
    })
}

/// The imports of code, each as one line without blanks, with the number of its first line.
pub(crate) fn imports(code: &str) -> Vec<(usize, String)> {
    let mut imports = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in code.lines().enumerate() {
        let trimmed = line.trim();
        let begins = ["use ", "pub use ", "pub(crate) use ", "pub(super) use "];
        if open.is_none() && begins.iter().any(|begin| trimmed.starts_with(begin)) {
            open = Some((index + 1, String::new()));
        }
        if let Some((number, mut import)) = open.take() {
            import.push_str(&trimmed.replace(' ', ""));
            if trimmed.ends_with(';') {
                imports.push((number, import));
            } else {
                open = Some((number, import));
            }
        }
    }
    imports
}

/// Whether the character can be part of a name.
pub(crate) fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

#[cfg(test)]
mod tests;
