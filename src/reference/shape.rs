//! What a node of a JSON Schema says of a value in a file.

use serde_json::Value;

/// A value in a file.
pub(super) enum Shape<'a> {
    /// A number, a text, a list of such.
    Plain,
    /// A mapping with keys.
    Section,
    /// One of several kinds.
    Choice(Vec<Kind<'a>>),
}

/// One of the kinds that a value can be.
pub(super) struct Kind<'a> {
    /// Its word in a file.
    pub(super) word: String,
    /// What it is.
    pub(super) about: &'a str,
    /// What stands behind the word, if anything.
    pub(super) holds: Option<&'a Value>,
}

/// A schema with its definitions.
pub(super) struct Schema(pub(super) Value);

impl Schema {
    /// The definition of that name.
    pub(super) fn named(&self, name: &str) -> &Value {
        &self.0["$defs"][name]
    }

    /// The name of the definition that a node refers to, null aside.
    pub(super) fn name<'a>(&self, node: &'a Value) -> Option<&'a str> {
        without_null(node)["$ref"].as_str()?.strip_prefix("#/$defs/")
    }

    /// The node that this one refers to, null aside.
    pub(super) fn resolved<'a>(&'a self, node: &'a Value) -> &'a Value {
        match self.name(node) {
            Some(name) => self.named(name),
            None => without_null(node),
        }
    }

    /// What a node says.
    pub(super) fn shape<'a>(&'a self, node: &'a Value) -> Shape<'a> {
        let node = self.resolved(node);
        if let Some(kinds) = node["oneOf"].as_array() {
            return Shape::Choice(kinds.iter().flat_map(kinds_of).collect());
        }
        if node["enum"].is_array() {
            return Shape::Choice(kinds_of(node));
        }
        match node["properties"].as_object() {
            Some(_) => Shape::Section,
            None => Shape::Plain,
        }
    }

    /// What a value is, in a few words.
    pub(super) fn words(&self, node: &Value) -> String {
        let node = self.resolved(node);
        if let Some(several) = node["anyOf"].as_array() {
            return several.iter().map(|n| self.words(n)).collect::<Vec<_>>().join(", or ");
        }
        match kind_of(node) {
            "array" => self.list(node),
            "boolean" => "`true` or `false`".into(),
            "string" => "text".into(),
            plain @ ("number" | "integer") => plain.into(),
            _ => match self.shape(node) {
                Shape::Choice(kinds) => one_of(&kinds),
                _ => "section".into(),
            },
        }
    }

    fn list(&self, node: &Value) -> String {
        if let Some(items) = node["prefixItems"].as_array() {
            return bracketed(items.iter().map(|item| self.words(item)));
        }
        let of = self.words(&node["items"]);
        match (element(node), node["minItems"].as_u64()) {
            (None, Some(n)) => bracketed((0..n).map(|_| of.clone())),
            _ => format!("list: {of}"),
        }
    }
}

fn bracketed(words: impl Iterator<Item = String>) -> String {
    format!("[{}]", words.collect::<Vec<_>>().join(", "))
}

/// The words of all kinds, or of a few where they are many.
fn one_of(kinds: &[Kind]) -> String {
    let word = |kind: &Kind| match kind.holds {
        Some(_) => format!("`{}: ...`", kind.word),
        None => format!("`{}`", kind.word),
    };
    kinds.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// The type of a node, null aside.
fn kind_of(node: &Value) -> &str {
    let several = node["type"].as_array();
    let first = several.and_then(|all| all.iter().filter_map(Value::as_str).find(|kind| *kind != "null"));
    first.or(node["type"].as_str()).unwrap_or_default()
}

/// What a list is of, where its length is free.
pub(super) fn element(node: &Value) -> Option<&Value> {
    let is_free = node["items"].is_object() && (node["minItems"].is_null() || node["minItems"] != node["maxItems"]);
    is_free.then(|| &node["items"])
}

/// A node, or the one that may stand there beside null.
pub(super) fn without_null(node: &Value) -> &Value {
    let several = node["anyOf"].as_array();
    let is_null = |node: &&Value| node["type"] == "null";
    match several.map(|all| all.iter().partition::<Vec<_>, _>(is_null)) {
        Some((null, others)) if null.len() == 1 && others.len() == 1 => others[0],
        _ => node,
    }
}

/// The kinds of one alternative: several words, or a word with what it holds.
fn kinds_of(node: &Value) -> Vec<Kind<'_>> {
    let about = node["description"].as_str().unwrap_or_default();
    let plain = |word: &Value| Kind {
        word: word.as_str().unwrap_or_default().to_owned(),
        about,
        holds: None,
    };
    if let Some(words) = node["enum"].as_array() {
        return words.iter().map(plain).collect();
    }
    if node["const"].is_string() {
        return vec![plain(&node["const"])];
    }
    let held = node["properties"].as_object().into_iter().flatten();
    held.map(|(word, holds)| Kind {
        word: word.clone(),
        about,
        holds: Some(holds),
    })
    .collect()
}
