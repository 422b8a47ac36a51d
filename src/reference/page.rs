//! A page of the reference: keys in tables, kinds in lists, each type once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::order::Order;
use super::shape::{Kind, Schema, Shape, element, without_null};
use super::text::{anchor, cell, flow, paragraphs};

/// Types that have a page, and their pages.
pub(super) const ELSEWHERE: [(&str, &str); 5] = [
    ("KernelConfig", "kernels.md"),
    ("ObjectiveConfig", "objectives.md"),
    ("Dataset", "datasets.md"),
    ("ModelConfig", "models.md"),
    ("NetworkConfig", "architecture.md"),
];

/// Choices are named in a table up to this length.
const MOST_WORDS: usize = 90;

/// A page as it grows.
pub(super) struct Page<'a> {
    schema: &'a Schema,
    order: &'a Order,
    pub(super) text: String,
    /// Where the type of a name is described on this page.
    described: BTreeMap<String, String>,
}

/// A key of a section.
struct Key<'a> {
    name: String,
    node: &'a Value,
    needed: bool,
}

impl<'a> Page<'a> {
    pub(super) fn new(schema: &'a Schema, order: &'a Order) -> Self {
        Self {
            schema,
            order,
            text: String::new(),
            described: BTreeMap::new(),
        }
    }

    /// Adds a paragraph.
    pub(super) fn add(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push_str("\n\n");
    }

    /// Adds what a comment says.
    pub(super) fn say(&mut self, comment: &str) {
        self.add(&paragraphs(comment));
    }

    /// The keys of a section: those that are needed first where no type tells their order.
    fn keys(&self, section: &'a Value) -> Vec<Key<'a>> {
        let Some(properties) = section["properties"].as_object() else {
            return Vec::new();
        };
        let needed: Vec<&str> = section["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (first, then): (Vec<String>, Vec<String>) = properties
            .keys()
            .cloned()
            .partition(|key| needed.contains(&key.as_str()));
        let names = self.order.of(first.into_iter().chain(then).collect());
        let key = |name: String| Key {
            node: &properties[&name],
            needed: needed.contains(&name.as_str()),
            name,
        };
        names.into_iter().map(key).collect()
    }

    /// A section: what it is, its keys as a table, and below it what stands at them.
    pub(super) fn section(&mut self, path: &str, section: &'a Value) {
        let keys = self.keys(section);
        if keys.is_empty() {
            return;
        }
        let mut below = Vec::new();
        let mut table = String::from("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in &keys {
            let place = join(path, &key.name);
            let value = self.value(&place, key.node, &mut below);
            let default = self.default(key);
            let about = key.node["description"].as_str().unwrap_or_default();
            table += &format!("| `{}` | {value} | {default} | {} |\n", key.name, cell(about));
        }
        self.add(&table);
        for (place, node) in below {
            self.below(&place, node);
        }
    }

    /// What may stand at a key, with a link to where it is described; `below` gathers what is to be.
    fn value(&mut self, place: &str, node: &'a Value, below: &mut Vec<(String, &'a Value)>) -> String {
        let node = without_null(node);
        let (inner, listed) = match element(node) {
            Some(element) => (element, "list: "),
            None => (node, ""),
        };
        let words = cell(&self.schema.words(inner));
        let name = self.schema.name(inner).map(str::to_owned);
        let page = |name: &str| {
            ELSEWHERE
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, page)| *page)
        };
        if let Some(page) = name.as_deref().and_then(page) {
            let text = if words == "section" {
                "section"
            } else {
                "one of several"
            };
            return format!("{listed}[{text}]({page})");
        }
        if let Some(union) = inner["anyOf"].as_array() {
            let linked = union.iter().find_map(|n| page(self.schema.name(n)?));
            return linked.map_or(words.clone(), |page| format!("text, or [section]({page})"));
        }
        if matches!(self.schema.shape(inner), Shape::Plain) {
            return format!("{listed}{words}");
        }
        let at = match name {
            Some(name) => match self.described.get(&name) {
                Some(at) => at.clone(),
                None => {
                    self.described.insert(name, place.to_owned());
                    below.push((place.to_owned(), inner));
                    place.to_owned()
                }
            },
            None => place.to_owned(),
        };
        let at = anchor(&at);
        match words.as_str() {
            "section" => format!("{listed}[section](#{at})"),
            _ if words.len() > MOST_WORDS => format!("{listed}[one of several](#{at})"),
            _ => format!("{listed}{words} ([meaning](#{at}))"),
        }
    }

    fn default(&self, key: &Key) -> String {
        let default = &key.node["default"];
        let is_section = matches!(self.schema.shape(key.node), Shape::Section);
        match (key.needed, is_section && default.is_object()) {
            (true, _) => "needed".into(),
            (false, true) => "each key's".into(),
            (false, false) => format!("`{}`", flow(default)),
        }
    }

    /// What stands at a key, under its own heading.
    fn below(&mut self, place: &str, node: &'a Value) {
        let level = if place.contains('.') { "###" } else { "##" };
        self.add(&format!("{level} {place}"));
        let node = self.schema.resolved(node);
        self.say(node["description"].as_str().unwrap_or_default());
        match self.schema.shape(node) {
            Shape::Choice(kinds) => self.kinds(&kinds),
            _ => self.section(place, node),
        }
    }

    /// Kinds as a list, with the keys of each.
    pub(super) fn kinds(&mut self, kinds: &[Kind<'a>]) {
        let (mut list, mut below) = (String::new(), Vec::new());
        for kind in kinds {
            let about = paragraphs(kind.about).replace("\n\n", " ");
            let Some(held) = kind.holds else {
                list += &format!("- `{}`: {about}\n", kind.word);
                continue;
            };
            let node = self.schema.resolved(held);
            let keys = self.keys(node);
            if keys.is_empty() {
                list += &format!("- `{}`, {}: {about}\n", kind.word, self.kind_words(held));
                continue;
            }
            list += &format!("- `{}`: {about}\n", kind.word);
            for key in keys {
                let about = paragraphs(key.node["description"].as_str().unwrap_or_default());
                let words = self.value(&join(&kind.word, &key.name), key.node, &mut below);
                let default = self.default(&key);
                let default = if key.needed {
                    default
                } else {
                    format!("default {default}")
                };
                list += &format!(
                    "  - `{}`, {words}, {default}: {}\n",
                    key.name,
                    about.replace("\n\n", " ")
                );
            }
        }
        self.add(&list);
        for (place, node) in below {
            self.below(&place, node);
        }
    }

    /// What stands behind the word of a kind that has its own heading.
    pub(super) fn kind(&mut self, kind: &Kind<'a>) {
        let Some(held) = kind.holds else { return };
        let node = self.schema.resolved(held);
        self.say(node["description"].as_str().unwrap_or_default());
        self.section(&kind.word, node);
    }

    fn kind_words(&self, held: &Value) -> String {
        let name = self.schema.name(held).unwrap_or_default();
        match ELSEWHERE.iter().find(|(known, _)| *known == name) {
            Some((_, page)) => format!("[one of several]({page})"),
            None => self.schema.words(held),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        _ => format!("{path}.{key}"),
    }
}
