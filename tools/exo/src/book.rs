//! The book in `docs`: links into the source have the line on which their title stands, which `interface` writes anew.
//!
//! Such a link is `[text](path#L12 "words on that line")`. A test compares, and follows all other links as well.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Where the book is.
pub const BOOK: &str = "docs";

/// The pages whose links have lines, as they should be: names and texts.
pub fn pages(workspace: &Workspace) -> Result<Vec<(String, String)>> {
    let mut pages = Vec::new();
    for place in [BOOK.to_owned(), format!("{BOOK}/labs")] {
        for entry in fs::read_dir(workspace.root.join(&place)).with_context(|| format!("cannot read {place}"))? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.ends_with(".md") {
                let text = fs::read_to_string(&path)?;
                pages.push((format!("{place}/{name}"), with_lines(workspace, &text).with_context(|| name)?));
            }
        }
    }
    Ok(pages)
}

/// A page whose links have the right lines.
fn with_lines(workspace: &Workspace, text: &str) -> Result<String> {
    let (mut result, mut rest) = (String::new(), text);
    while let Some((before, target)) = rest.split_once("](../") {
        result.push_str(before);
        result.push_str("](../");
        rest = target;
        // PATH#L12 "TITLE")
        let Some((link, _)) = target.split_once(')') else { continue };
        let Some((path, line)) = link.split_once("#L") else { continue };
        let Some((_, title)) = line.split_once(" \"") else { continue };
        // The title may have a parenthesis.
        let whole = target.split_once("\")").map_or(title, |(whole, _)| whole);
        let title = whole.split_once(" \"").map_or(title, |(_, title)| title);
        let of_tree = path.trim_start_matches("../");
        let source = fs::read_to_string(workspace.root.join(of_tree)).with_context(|| format!("cannot read {path}"))?;
        let number = source.lines().position(|line| line.contains(title));
        let number = number.with_context(|| format!("no line of {path} has {title:?}"))? + 1;
        result.push_str(&format!("{path}#L{number} \"{title}\")"));
        rest = &target[whole.len() + 2..];
    }
    Ok(result + rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    use pulldown_cmark::{Event, Parser, Tag};

    /// A heading as links name it.
    fn anchor(heading: &str) -> String {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    }

    fn links(text: &str) -> Vec<String> {
        let target = |event| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.to_string()),
            _ => None,
        };
        Parser::new(text).filter_map(target).collect()
    }

    #[test]
    fn links_have_the_right_lines() {
        let workspace = Workspace::find().unwrap();
        for (path, text) in pages(&workspace).unwrap() {
            let found = fs::read_to_string(workspace.root.join(&path)).unwrap();
            assert!(found == text, "{path} has old line numbers; `cargo exo interface` writes them anew");
        }
    }

    #[test]
    fn links_lead_somewhere() {
        let workspace = Workspace::find().unwrap();
        let mut pages: Vec<_> = pages(&workspace).unwrap().into_iter().map(|(path, _)| path).collect();
        pages.push("README.md".to_owned());
        let mut wrong = Vec::new();
        for page in pages {
            let path = workspace.root.join(&page);
            let text = fs::read_to_string(&path).unwrap();
            for link in links(&text).iter().filter(|link| !link.contains("://")) {
                let (file, part) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
                let headings = || {
                    let text = fs::read_to_string(&target).unwrap_or_default();
                    text.lines()
                        .filter_map(|line| line.strip_prefix('#'))
                        .map(|line| anchor(line.trim_start_matches('#').trim()))
                        .collect::<BTreeSet<_>>()
                };
                let in_page = target.extension() == Some("md".as_ref()) && !part.is_empty();
                if !target.exists() || in_page && !headings().contains(part) {
                    wrong.push(format!("{page}: {link}"));
                }
            }
        }
        assert!(wrong.is_empty(), "links that lead nowhere: {wrong:#?}");
    }

    #[test]
    fn every_page_is_in_the_summary() {
        let workspace = Workspace::find().unwrap();
        let summary = fs::read_to_string(workspace.root.join(BOOK).join("SUMMARY.md")).unwrap();
        let mut listed = links(&summary);
        listed.sort();
        let name = |path: String| Path::new(&path).strip_prefix(BOOK).unwrap().to_string_lossy().into_owned();
        let mut all: Vec<_> = pages(&workspace).unwrap().into_iter().map(|(path, _)| name(path)).collect();
        all.retain(|name| name != "SUMMARY.md");
        all.sort();
        assert_eq!(listed, all);
    }

    /// All files below a directory, but those that are made.
    fn files(directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match path.is_dir() {
                true if name == "target" || name.starts_with('.') => {}
                true => files(&path, found),
                false => found.push(path.to_string_lossy().into_owned()),
            }
        }
    }

    /// What tables have in the columns that are headed *test*, with the rows that it stands in.
    fn tests_told(text: &str) -> Vec<(&str, Vec<&str>)> {
        let mut column = None;
        let mut told = Vec::new();
        for row in text.lines() {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            if cells.len() < 3 {
                column = None;
            } else if let Some(cell) = column.and_then(|column: usize| cells.get(column)) {
                told.push((row, cell.split('`').skip(1).step_by(2).collect()));
            } else {
                column = cells.iter().position(|&cell| cell == "test");
            }
        }
        told
    }

    /// What tables say a test tries is tried by one that there is.
    #[test]
    fn tests_that_are_told_of_exist() {
        let workspace = Workspace::find().unwrap();
        let mut all = Vec::new();
        files(&workspace.root, &mut all);
        let programs: Vec<_> =
            all.iter().filter_map(|file| file.split_once("/tests/src/bin/")?.1.strip_suffix(".rs")).collect();
        let areas = programs.iter().filter_map(|program| program.split_once('_')).map(|(area, _)| area);
        let areas: BTreeSet<_> = areas.collect();
        let sources = all.iter().filter(|file| file.contains("/tools/exo/src/") && !file.ends_with("/book.rs"));
        let command: String = sources.map(|file| fs::read_to_string(file).unwrap()).collect();
        // Part of the name of one of the command's own: as it is, or put together of its kind and the rest.
        let of_command = |part: &str| {
            let put_together = |(kind, rest): (&str, &str)| {
                command.contains(&format!("\"model::{kind}_\"")) && command.contains(&format!("\"{rest}\""))
            };
            let part = part.trim_end_matches("_at_every_instruction");
            command.contains(part) || part.split_once('_').is_some_and(put_together)
        };
        // Whether there is such a test; nothing if it is no test's name.
        let exists = |name: &str| {
            let start = name.trim_end_matches('*');
            if let Some(parts) = start.strip_prefix("model::") {
                return Some(parts.split("::").all(of_command));
            }
            if name.ends_with(".rs") || name.ends_with(".toml") {
                return Some(all.iter().any(|file| file.ends_with(&format!("/{name}"))));
            }
            let (area, _) = start.split_once('_')?;
            let is_it = |program: &str| program == name || start != name && program.starts_with(start);
            areas.contains(area).then(|| programs.iter().any(|program| is_it(program)))
        };
        let (mut checked, mut wrong) = (0, Vec::new());
        for (page, text) in pages(&workspace).unwrap() {
            for (row, names) in tests_told(&text) {
                let names: Vec<_> = names.into_iter().filter_map(|name| Some((name, exists(name)?))).collect();
                wrong.extend(names.iter().filter(|(_, there)| !there).map(|(name, _)| format!("{page}: {name}")));
                if page.ends_with("/security.md") && names.is_empty() && !row.starts_with("|---") {
                    wrong.push(format!("{page}: nothing tries it: {row}"));
                }
                checked += names.len();
            }
        }
        assert!(wrong.is_empty(), "tests that there are not: {wrong:#?}");
        assert!(checked > 150, "{checked} names");
    }

    /// The table of all calls says what `bench/counts.toml` does, for one of the cases that are counted there.
    #[test]
    fn costs_are_what_was_counted() {
        let workspace = Workspace::find().unwrap();
        let read = |path: &str| fs::read_to_string(workspace.root.join(path)).unwrap();
        let counts: toml::Table = read("bench/counts.toml").parse().unwrap();
        let counts = counts["compiled"]["calls"]["aegis"].as_table().unwrap();
        let mut compared = 0;
        for row in read("docs/abi.md").lines().filter(|line| line.starts_with("| [`")) {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let (Some(name), Ok(cost)) = (cells[1].split('`').nth(1), cells[4].parse::<i64>()) else { continue };
            let cases: Vec<_> = counts.iter().filter(|(case, _)| case.starts_with(name)).collect();
            assert!(
                cases.is_empty() || cases.iter().any(|(_, count)| count.as_integer() == Some(cost)),
                "{row}: {cases:?}"
            );
            compared += usize::from(!cases.is_empty());
        }
        assert!(compared > 30, "{compared} calls");
    }
}
