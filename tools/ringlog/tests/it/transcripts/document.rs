//! What is typed and said in a document.

use std::fmt;
use std::ops::Range;

const BLOCK: &str = "```console";
const BLOCK_END: &str = "```";
const PROMPT: &str = "$ ";
const CONTINUED: &str = "> ";

/// What a terminal shows for Ctrl-C.
pub(super) const INTERRUPT: &str = "^C";

/// A document with its steps in order.
pub(super) struct Document<'a> {
    lines: Vec<&'a str>,
    pub(super) steps: Vec<Step>,
}

/// What somebody types.
pub(super) enum Typed {
    Command(String),
    /// Ctrl-C for a command of an earlier block.
    Interrupt,
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => f.write_str(command),
            Self::Interrupt => f.write_str(INTERRUPT),
        }
    }
}

pub(super) struct Step {
    pub(super) typed: Typed,
    /// What it says, each line with its end.
    pub(super) said: String,
    /// Whether Ctrl-C ends it.
    pub(super) is_interrupted: bool,
    /// The lines of what is said.
    place: Range<usize>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let mut steps: Vec<Step> = Vec::new();
        let mut is_inside = false;
        let mut is_first = false;
        for (number, &line) in lines.iter().enumerate() {
            if !is_inside {
                is_inside = line == BLOCK;
                is_first = true;
                continue;
            }
            let begun = if let Some(command) = line.strip_prefix(PROMPT) {
                Some(Typed::Command(command.to_owned()))
            } else if line == INTERRUPT && is_first {
                Some(Typed::Interrupt)
            } else {
                None
            };
            is_first = false;
            if line == BLOCK_END {
                is_inside = false;
            } else if let Some(typed) = begun {
                steps.push(Step {
                    typed,
                    said: String::new(),
                    is_interrupted: false,
                    place: number + 1..number + 1,
                });
            } else {
                let step = steps.last_mut().expect("a block begins with a command");
                step.take(line, number);
            }
        }
        Self { lines, steps }
    }

    /// The text with something else said at each step.
    pub(super) fn with(&self, said: &[String]) -> String {
        let mut text = String::new();
        let mut next = 0;
        for (step, said) in self.steps.iter().zip(said) {
            for line in &self.lines[next..step.place.start] {
                text += line;
                text += "\n";
            }
            text += said;
            next = step.place.end;
        }
        for line in &self.lines[next..] {
            text += line;
            text += "\n";
        }
        text
    }
}

impl Step {
    fn take(&mut self, line: &str, number: usize) {
        let is_continued = self.said.is_empty() && line.starts_with(CONTINUED);
        if let (true, Typed::Command(command)) = (is_continued, &mut self.typed) {
            *command += "\n";
            *command += &line[CONTINUED.len()..];
            self.place = number + 1..number + 1;
            return;
        }
        self.is_interrupted |= line == INTERRUPT;
        self.said += line;
        self.said += "\n";
        self.place.end = number + 1;
    }

    /// Lines that are said before Ctrl-C.
    pub(super) fn lines_before_interrupt(&self) -> usize {
        self.said
            .lines()
            .take_while(|&line| line != INTERRUPT)
            .count()
    }
}
