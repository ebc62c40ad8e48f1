//! YAML text to tree.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::{Entry, Node, Place, Problem, Value};

/// More nodes than any real configuration has; repeated aliases reach it before they fill the
/// memory.
const MAX_NODES: usize = 2_000_000;

/// Deeper than any real configuration; every level takes its part of the stack.
const MAX_DEPTH: usize = 64;

/// Reads one YAML document. An empty one is an empty mapping.
///
/// # Errors
/// The first syntax error, or every duplicate key.
pub fn parse(text: &str, file: &str) -> Result<Node, Vec<Problem>> {
    let mut builder = Builder {
        events: Parser::new_from_str(text),
        file: file.into(),
        anchors: HashMap::new(),
        nodes: 0,
        depth: 0,
        problems: Vec::new(),
    };
    let node = builder.document().map_err(|problem| vec![problem])?;
    if builder.problems.is_empty() { Ok(node) } else { Err(builder.problems) }
}

struct Builder<'input> {
    events: Parser<'input, saphyr_parser::StrInput<'input>>,
    file: Arc<str>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// How many lists and mappings are open.
    depth: usize,
    problems: Vec<Problem>,
}

impl<'input> Builder<'input> {
    fn place(&self, marker: Marker) -> Place {
        Place { file: self.file.clone(), line: marker.line(), column: marker.col() + 1 }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        Problem::at(&self.place(*error.marker()), "", format!("not valid YAML: {}", error.info()))
    }

    fn next(&mut self) -> Result<(Event<'input>, Span), Problem> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node, Problem> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if document.is_some() => {
                    let place = self.place(span.start);
                    return Err(Problem::at(&place, "", "expected one YAML document in the file"));
                }
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                event => document = Some(self.node(event, span)?),
            }
        }
        let start = Place { file: self.file.clone(), line: 1, column: 1 };
        Ok(document
            .filter(|node| !node.is_null())
            .unwrap_or(Node { place: start, value: Value::Mapping(Vec::new()) }))
    }

    fn count(&mut self, place: &Place, nodes: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(Problem::at(place, "", "the file is too large, or its aliases multiply"));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'input>, span: Span) -> Result<Node, Problem> {
        let place = self.place(span.start);
        if self.depth == MAX_DEPTH {
            let message = format!("expected at most {MAX_DEPTH} levels of lists and mappings");
            return Err(Problem::at(&place, "", message));
        }
        self.depth += 1;
        let node = self.content(event, place)?;
        self.depth -= 1;
        Ok(node)
    }

    fn content(&mut self, event: Event<'input>, place: Place) -> Result<Node, Problem> {
        self.count(&place, 1)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (Value::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span)?),
                    }
                }
                (Value::Sequence(items), anchor)
            }
            Event::MappingStart(anchor, _) => (Value::Mapping(self.mapping()?), anchor),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Problem::at(&place, "", "an alias cannot stand inside its anchor"));
                };
                self.count(&place, count(&node))?;
                return Ok(node);
            }
            _ => return Err(Problem::at(&place, "", "expected a value")),
        };
        let node = Node { place, value };
        if anchor != 0 {
            self.count(&node.place, count(&node))?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn mapping(&mut self) -> Result<Vec<Entry>, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let place = self.place(span.start);
            let Event::Scalar(key, ..) = event else {
                return Err(Problem::at(&place, "", "expected a text as a key"));
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            if key == "<<" {
                merged.push(value);
                continue;
            }
            match lines.entry(key.clone()) {
                hash_map::Entry::Occupied(first) => {
                    let message = format!("stands twice, first in line {}", first.get());
                    self.problems.push(Problem::at(&place, key, message));
                }
                hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(place.line);
                    entries.push(Entry { key: key.into_owned(), place, value });
                }
            }
        }
        for node in merged {
            merge(&mut entries, node)?;
        }
        Ok(entries)
    }
}

/// `<<: *defaults` adds the keys that the mapping does not set itself.
fn merge(entries: &mut Vec<Entry>, node: Node) -> Result<(), Problem> {
    match node.value {
        Value::Mapping(added) => {
            for entry in added {
                if entries.iter().all(|present| present.key != entry.key) {
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Value::Sequence(nodes) => nodes.into_iter().try_for_each(|node| merge(entries, node)),
        Value::Scalar { .. } => {
            Err(Problem::at(&node.place, "<<", "expected a mapping or a list of mappings"))
        }
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::Sequence(items) => items.iter().map(count).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        parse(text, "f.yml").unwrap_err()[0].to_string()
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let root = parse("a: 1\nb:\n  - x: two\n", "f.yml").unwrap();
        assert_eq!(root.nearest("b[0].x").place.to_string(), "f.yml:3:8");
        assert_eq!(root.entries().unwrap()[1].place.to_string(), "f.yml:2:1");
        assert_eq!(root.nearest("b[0].y").place.to_string(), "f.yml:3:5");
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let root = parse("x-a: &a {k: 1, l: 2}\nb:\n  <<: *a\n  l: 3\n", "f.yml").unwrap();
        let text = |path: &str| root.nearest(path).describe();
        assert_eq!((text("b.k"), text("b.l")), ("`1`".into(), "`3`".into()));
    }

    #[test]
    fn broken_documents_are_refused_with_their_place() {
        assert_eq!(problem("a: 1\na: 2\n"), "f.yml:2:1: a: stands twice, first in line 1");
        assert_eq!(
            problem("a: 1\n---\nb: 1\n"),
            "f.yml:2:1: expected one YAML document in the file"
        );
        assert!(problem("a: [1\nb: 2\n").starts_with("f.yml:2:"));
        assert!(problem("? [a]\n: 1\n").contains("expected a text as a key"));
    }

    #[test]
    fn levels_without_end_are_refused_before_they_fill_the_stack() {
        let lines: Vec<_> = (0..3000).map(|level| " ".repeat(level) + "a:\n").collect();
        for text in [lines.concat(), "- ".repeat(100_000), "[".repeat(100_000)] {
            let problem = problem(&text);
            assert!(problem.contains("levels") || problem.contains("recursion"), "{problem}");
        }
        assert!(parse(&"- ".repeat(MAX_DEPTH - 1), "f.yml").is_ok());
    }

    #[test]
    fn anchors_around_anchors_do_not_multiply_what_they_hold() {
        let (open, items) = (40, "x, ".repeat(100_000));
        let anchors: Vec<_> = (0..open).map(|number| format!("&a{number} [")).collect();
        let anchors = anchors.concat();
        assert!(parse(&format!("{anchors}{items}{}", "]".repeat(open)), "f.yml").is_err());
    }

    #[test]
    fn many_keys_take_no_longer_than_their_number_asks_for() {
        let lines: Vec<_> = (0..100_000).map(|number| format!("k{number}: v\n")).collect();
        let started = std::time::Instant::now();
        assert_eq!(parse(&lines.concat(), "f.yml").unwrap().entries().unwrap().len(), 100_000);
        assert!(started.elapsed() < std::time::Duration::from_secs(20));
    }

    #[test]
    fn aliases_that_multiply_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            let aliases = [alias.as_str(); 10].join(", ");
            text.extend([format!("a{level}: &a{level} [{aliases}]\n")]);
        }
        assert!(parse(&text, "f.yml").is_err());
    }
}
