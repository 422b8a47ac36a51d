//! Mutations of YAML as a tree: values, keys, types, nesting.

use serde_yaml::{Mapping, Value};

use super::plan::Dice;

/// The way to a node: keys and indices as text.
pub type Way = Vec<String>;

/// Numbers at the edges of their types, other types, and words that some readers of YAML take for
/// something else.
const VALUES: [&str; 42] = [
    "0",
    "-1",
    "1",
    "0.5",
    "-0.0",
    "1.0e-300",
    "1.0e308",
    ".nan",
    ".inf",
    "-.inf",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "-9223372036854775808",
    "1000000000",
    "1000000000000",
    "0x7fffffff",
    "0o17",
    "1_000",
    "true",
    "null",
    "''",
    "' '",
    "yes",
    "'a/b'",
    "'../../x'",
    "\"\\e[31m\\u202e\"",
    "\"a\\nerror: b\"",
    "2026-01-01",
    "[]",
    "{}",
    "[1]",
    "[-1, 1]",
    "[.nan, .inf]",
    "{a: 1}",
    "{value: 1}",
    "[[[]]]",
    "{uniform: [-1, 1]}",
];

/// What was done, and the value that an accepted file must then have at a place.
pub struct Change {
    pub kind: &'static str,
    pub set: Option<(Way, Value)>,
}

/// Changes one node of a tree.
pub fn change(root: &mut Value, dice: &mut Dice) -> Change {
    let mut ways = Vec::new();
    collect(root, &mut Vec::new(), &mut ways);
    let way = dice.pick(&ways).clone();
    let plain = |kind| Change { kind, set: None };
    match dice.below(100) {
        0..55 => {
            let node = at(root, &way).unwrap();
            let value = match near(node, dice) {
                Some(near) if dice.below(2) == 0 => near,
                _ => serde_yaml::from_str(dice.pick::<&str>(&VALUES)).unwrap(),
            };
            *node = value.clone();
            Change {
                kind: "value",
                set: Some((way, value)),
            }
        }
        55..65 => {
            rename(root, &way, dice);
            plain("key")
        }
        65..75 => {
            remove(root, &way);
            plain("removed")
        }
        75..83 => {
            let node = at(root, &way).unwrap();
            *node = match dice.below(3) {
                0 => Value::Sequence(vec![node.clone(); 1 + dice.below(3)]),
                1 => Value::Mapping(Mapping::from_iter([("x".into(), node.clone())])),
                _ => Value::String(serde_yaml::to_string(node).unwrap()),
            };
            plain("wrapped")
        }
        _ => {
            // A branch in another place than its own.
            let branch = at(root, &way).unwrap().clone();
            let place = dice.pick(&ways).clone();
            *at(root, &place).unwrap() = branch;
            plain("moved")
        }
    }
}

/// Another number near to one, or the other truth.
fn near(node: &Value, dice: &mut Dice) -> Option<Value> {
    match node {
        Value::Bool(is_so) => Some((!is_so).into()),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => Some((*dice.pick(&[n + 1, n - 1, 2 * n, n / 2, -n, 1000 * n])).into()),
            (None, Some(n)) => Some((*dice.pick(&[n + 0.1, n - 0.1, 2.0 * n, n / 2.0, -n, 1e6 * n])).into()),
            _ => None,
        },
        _ => None,
    }
}

fn collect(node: &Value, way: &mut Way, ways: &mut Vec<Way>) {
    let mut enter = |name: String, child: &Value| {
        way.push(name);
        ways.push(way.clone());
        collect(child, way, ways);
        way.pop();
    };
    match node {
        Value::Mapping(map) => map
            .iter()
            .for_each(|(key, child)| enter(key.as_str().unwrap_or_default().into(), child)),
        Value::Sequence(list) => list
            .iter()
            .enumerate()
            .for_each(|(i, child)| enter(i.to_string(), child)),
        _ => {}
    }
}

/// The node at the end of a way.
pub fn at<'a>(root: &'a mut Value, way: &[String]) -> Option<&'a mut Value> {
    way.iter().try_fold(root, |node, name| match node {
        Value::Mapping(map) => map.get_mut(name.as_str()),
        Value::Sequence(list) => list.get_mut(name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn parent<'a>(root: &'a mut Value, way: &'a [String]) -> (&'a mut Value, &'a str) {
    let (last, above) = way.split_last().unwrap();
    (at(root, above).unwrap(), last)
}

fn remove(root: &mut Value, way: &[String]) {
    match parent(root, way) {
        (Value::Mapping(map), key) => drop(map.remove(key)),
        (Value::Sequence(list), index) => drop(list.remove(index.parse().unwrap())),
        _ => unreachable!("only these have nodes below"),
    }
}

fn rename(root: &mut Value, way: &[String], dice: &mut Dice) {
    let (Value::Mapping(map), key) = parent(root, way) else {
        return;
    };
    let value = map.remove(key).unwrap();
    let mut letters: Vec<char> = key.chars().collect();
    let new = match dice.below(6) {
        0 => key.to_uppercase(),
        1 => String::new(),
        2 => format!("{key}\u{0}"),
        3 => "\u{1b}[31m\u{202e}".into(),
        4 => "k".repeat(5000),
        _ => {
            let i = dice.below(letters.len());
            letters.insert(i, letters.get(i).copied().unwrap_or('x'));
            letters.into_iter().collect()
        }
    };
    map.insert(new.into(), value);
}
