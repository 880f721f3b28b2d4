//! The page around tables and plots: everything that it needs is in it.

/// Text that cannot be mistaken for markup.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The colours of lines are those of Okabe and Ito, which people who see colours differently can tell apart.
const STYLE: &str = "\
:root { color-scheme: light dark; --text: #1b1f24; --faint: #6b7280; --grid: #e3e6ea; --page: #ffffff; --mark: #fff3cd;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #56b4e9; --c5: #b8860b; --c6: #7f3fbf; --c7: #444444; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e8eb; --faint: #9aa3ad; --grid: #33383f; --page: #15181c;
  --mark: #4a3d10; --c0: #4aa8e0; --c1: #ff8c42; --c2: #2fd1a0; --c3: #e79ac4; --c4: #8fd0f5; --c5: #e0b030; --c6: #b48be8;
  --c7: #c0c4c9; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); margin: 2rem auto;
  max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p.lead, td.faint { color: var(--faint); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .7rem; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; white-space: normal; } th:first-child, td:first-child, td.text, th.text { text-align: left; }
table.facts td { white-space: normal; text-align: left; } table.facts td:first-child { white-space: nowrap; }
tr.invalid td, details.invalid { background: var(--mark); } details.invalid { padding: .1rem .8rem; }
figure { display: inline-block; width: min(100%, 36rem); margin: 0 1.5rem 1.5rem 0; vertical-align: top; }
figcaption { font-weight: 600; margin: .6rem 0 .2rem; }
svg { width: 100%; height: auto; display: block; }
.grid { stroke: var(--grid); } .frame { stroke: var(--faint); fill: none; }
.tick { font-size: 12px; fill: var(--faint); } .label { font-size: 13px; fill: var(--text); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; margin: .2rem 0 0; font-size: 13px; }
.legend li { display: flex; align-items: center; gap: .4rem; } .key { width: 30px; height: 8px; flex: none; }
summary { cursor: pointer; font-weight: 600; margin: .4rem 0; }
code { font-family: ui-monospace, monospace; font-size: 13px; overflow-wrap: anywhere; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
.c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); } .c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); }
.dot { fill: var(--page); stroke-width: 2; }
";

/// A whole page.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n"
    )
}
