//! The order of the rooms in `src`: imports point one way, and no files import each other in a loop.

#[path = "house/imports.rs"]
mod imports;

use imports::House;

/// The rooms from the ground up. A room imports from those of the floors below it, and from itself.
const FLOORS: [&[&str]; 16] = [
    &["error", "space"],
    &["memory", "ffi"],
    &["files", "rng", "process"],
    &["config"],
    &["data", "nn", "report"],
    &["energy"],
    &["models"],
    &["sampling"],
    &["objective", "optim"],
    &["eval"],
    &["experiment"],
    &["run"],
    &["train", "reference"],
    &["judging"],
    &["cli"],
    &["main"],
];

fn floor(room: &str) -> usize {
    let found = FLOORS.iter().position(|rooms| rooms.contains(&room));
    found.unwrap_or_else(|| panic!("src has a room `{room}` that stands on no floor of this test"))
}

#[test]
fn imports_point_down() {
    let house = House::read();
    assert!(house.files().count() > 150, "{} files", house.files().count());
    let up = house.arrows().filter(|(from, to)| {
        let [from, to] = [from, to].map(|file| House::room(file));
        from != to && floor(&to) >= floor(&from)
    });
    let up: Vec<String> = up.map(|(from, to)| format!("{from} -> {to}")).collect();
    assert!(up.is_empty(), "imports of a room above or beside:\n{}", up.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_loop() {
    let circles = House::read().circles();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn loops_and_arrows_are_seen() {
    let house = House::of(&[
        ("lib", "pub mod a; pub mod b; pub mod c;"),
        ("a", "use crate::b::{self, Thing as Other}; fn f() { b::g() }"),
        ("b", "pub use c::inner; pub struct Thing; mod c;"),
        ("b/c", "pub fn inner() -> crate::c::X { panic!() }"),
        (
            "c",
            "pub struct X; macro_rules! m { () => {} } fn f() { assert!(crate::a::f()); }",
        ),
    ]);
    let arrows: Vec<_> = house.arrows().collect();
    for (from, to) in [("a", "b"), ("b/c", "c"), ("c", "a")] {
        assert!(
            arrows.contains(&(from.into(), to.into())),
            "{from} -> {to} in {arrows:?}"
        );
    }
    assert!(house.circles().is_empty(), "{:?}", house.circles());
    let looped = House::of(&[
        ("lib", "mod a; mod b;"),
        ("a", "use crate::b::y; fn x() { y() }"),
        ("b", "pub fn y() { super::a::x() }"),
    ]);
    assert_eq!(looped.circles(), ["a, b: a -> b, b -> a"]);
}
