//! Strict copying of named tensors: every name, shape and kind is checked before the first value moves.

use std::collections::BTreeMap;

use tch::{Kind, Tensor, no_grad_guard};

use crate::error::{Error, Result};

/// How many faults an error lists before it only counts them.
const LISTED: usize = 8;

/// The value of the i64 scalar called `name`.
pub(super) fn count(given: &BTreeMap<String, Tensor>, name: &str, place: &str) -> Result<u64> {
    let found = given.get(name).map(|t| (t.kind(), t.size()));
    if found != Some((Kind::Int64, Vec::new())) {
        let found = found.map_or("nothing".into(), |(kind, size)| format!("{kind:?} {size:?}"));
        return Err(refused(
            place,
            format!("expected `{name}` as one Int64 number, found {found}"),
        ));
    }
    u64::try_from(given[name].int64_value(&[])).map_err(|_| refused(place, format!("`{name}` is negative")))
}

/// Copies `given` into `own`, in place; names in `besides` may be in `given` as well.
pub(super) fn copy(
    own: &mut [(String, Tensor)],
    given: &BTreeMap<String, Tensor>,
    besides: &str,
    place: &str,
) -> Result<()> {
    let faults = faults(own, given, besides);
    if !faults.is_empty() {
        let more = match faults.len().saturating_sub(LISTED) {
            0 => String::new(),
            n => format!("; and {n} more"),
        };
        let listed = faults[..faults.len().min(LISTED)].join("; ");
        return Err(refused(place, format!("{listed}{more}")));
    }
    let _guard = no_grad_guard();
    for (name, tensor) in own {
        tensor.copy_(&given[name.as_str()]);
    }
    Ok(())
}

fn faults(own: &[(String, Tensor)], given: &BTreeMap<String, Tensor>, besides: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, tensor) in own {
        let expected = (tensor.kind(), tensor.size());
        match given.get(name).map(|t| (t.kind(), t.size())) {
            None => faults.push(format!("`{name}` is missing")),
            Some(found) if found != expected => faults.push(format!(
                "`{name}` should be {:?} {:?}, found {:?} {:?}",
                expected.0, expected.1, found.0, found.1
            )),
            Some(_) => {}
        }
    }
    let known = |name: &str| name == besides || own.iter().any(|(n, _)| n == name);
    faults.extend(
        given
            .keys()
            .filter(|name| !known(name))
            .map(|name| format!("`{name}` is not expected")),
    );
    faults
}

fn refused(place: &str, what: String) -> Error {
    Error::input(
        place,
        what,
        "use a checkpoint that was written with the same configuration",
    )
}
