//! Looks through the code of a TorchScript file for calls that reach beyond tensors.
//!
//! The code is text. An operator's name stands in it as a word, after a dot or in the string of a
//! `getattr`, so a word that is nowhere in the text is not called. What could build a name out of
//! parts is refused too.

/// Operators that read or write files, print, or talk to other processes.
const REACHING: [&str; 9] = [
    "save",
    "from_file",
    "print",
    "Print",
    "_print",
    "warn",
    "rpc_async",
    "rpc_remote",
    "rpc_sync",
];

/// The families of operators that compute with tensors alone, but for those above.
const FAMILIES: [&str; 5] = ["aten", "prim", "quantized", "_quantized", "prepacked"];

/// The first thing in `code` that reaches beyond tensors, or that hides what is called.
pub(super) fn reaching(code: &str) -> Option<String> {
    let called = |word: &&str| REACHING.contains(word);
    if let Some(word) = words(code).find(called) {
        return Some(format!("names `{word}`"));
    }
    let text = Text::of(code);
    if let Some(family) = text.foreign_family() {
        return Some(format!("uses operators by `{family}`"));
    }
    if text.tokens.windows(3).any(|t| t == ["torch", ".", "classes"]) {
        return Some("uses objects of C++ (`torch.classes`)".into());
    }
    (text.reads_by_name() && text.hides_strings).then(|| "reads an attribute whose name is put together".to_owned())
}

/// Identifiers anywhere in a text, in its strings and comments too.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| c == '_' || c.is_alphanumeric();
    text.split(move |c| !inside(c)).filter(|word| !word.is_empty())
}

/// Code without its strings and comments.
#[derive(Default)]
struct Text {
    /// Identifiers and single signs, in order.
    tokens: Vec<String>,
    /// Whether a string is written by the numbers of its characters, over lines, or in several
    /// parts.
    hides_strings: bool,
}

impl Text {
    fn of(code: &str) -> Self {
        let mut text = Self::default();
        let mut rest = code;
        let mut after_string = false;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '#' => rest.find('\n').unwrap_or(rest.len()),
                '"' | '\'' => {
                    text.hides_strings |= after_string;
                    text.string(rest, c)
                }
                c if c.is_whitespace() || c == '\\' => c.len_utf8(),
                _ => text.token(rest),
            };
            after_string = match c {
                '"' | '\'' => true,
                c => after_string && (c.is_whitespace() || c == '\\' || c == '#'),
            };
            rest = &rest[length..];
        }
        text
    }

    /// Takes an identifier or a sign from the beginning of `rest`; returns its length.
    fn token(&mut self, rest: &str) -> usize {
        let word = words(rest).next().filter(|word| rest.starts_with(word));
        let token = word.unwrap_or_else(|| &rest[..rest.chars().next().map_or(0, char::len_utf8)]);
        self.tokens.push(token.to_owned());
        token.len()
    }

    /// Takes a string from the beginning of `rest`; returns its length with its quotes.
    fn string(&mut self, rest: &str, quote: char) -> usize {
        let triple = quote.to_string().repeat(3);
        let end = if rest.starts_with(&triple) {
            triple
        } else {
            quote.to_string()
        };
        let mut at = end.len();
        while let Some(c) = rest[at..].chars().next() {
            if rest[at..].starts_with(&end) {
                return at + end.len();
            }
            at += c.len_utf8();
            if c == '\\' {
                let escaped = rest[at..].chars().next().unwrap_or(' ');
                self.hides_strings |= escaped.is_ascii_digit() || "xuUN\n\r".contains(escaped);
                at += rest[at..].chars().next().map_or(0, char::len_utf8);
            }
        }
        at
    }

    fn reads_by_name(&self) -> bool {
        self.tokens.iter().any(|t| t == "getattr")
    }

    /// A use of `ops` other than for a family that is known.
    fn foreign_family(&self) -> Option<String> {
        let known = |at: usize| {
            let next = [1, 2, 3].map(|i| self.tokens.get(at + i).map_or("", String::as_str));
            next[0] == "." && FAMILIES.contains(&next[1]) && next[2] == "."
        };
        let uses = self.tokens.iter().enumerate().filter(|(_, t)| *t == "ops");
        let foreign = uses.map(|(at, _)| at).find(|at| !known(*at))?;
        Some(self.tokens[foreign..].iter().take(3).map(String::as_str).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::reaching;

    #[test]
    fn calls_beyond_tensors_are_found_however_they_are_written() {
        for code in [
            "torch.save(x, \"f\")",
            "x.from_file(\"f\")",
            "f = torch . save",
            "ops.prim.Print(x)",
            "print(x)",
            "torch.warn(\"x\", 2)",
            "ops.c10d.send(x)",
            "o = ops\n  o.c10d.send(x)",
            "ops  . c10d.send(x)",
            "getattr(torch, \"save\")(x, \"f\")",
            "getattr(torch, \"s\\x61ve\")(x, \"f\")",
            "getattr(torch, \"s\\141ve\")(x, \"f\")",
            "getattr(torch, \"sa\" \"ve\")(x, \"f\")",
            "getattr(torch, \"sa\" # and\n 've')(x, \"f\")",
            "x : __torch__.torch.classes.c10d.Store",
        ] {
            assert!(reaching(code).is_some(), "{code}");
        }
    }

    #[test]
    fn what_networks_are_made_of_passes() {
        for code in [
            "_0 = ops.prim.NumToTensor(torch.size(x, 2))",
            "layer = getattr(self.features, \"0\")",
            "ops.prim.RaiseException(\"two\\nlines\", \"builtins.ValueError\") # it's \"odd",
            "saved = torch.add(x, self.printer)\n  y = ops.quantized.add(x, x, 1., 0)",
            "z = [\"a\", \"\", 'b']\n  getattr(self, \"1\")",
        ] {
            assert_eq!(reaching(code), None, "{code}");
        }
    }
}
