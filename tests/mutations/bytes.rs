//! Damage to any file: bytes flipped, cut, put in, taken out.

use super::plan::Dice;

/// Changes one to `most` bytes, each to another value.
pub fn flip(bytes: &mut [u8], most: usize, dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    for _ in 0..=dice.below(most) {
        let at = dice.below(bytes.len());
        bytes[at] = match dice.below(3) {
            0 => bytes[at] ^ (1 << dice.below(8)),
            _ => bytes[at].wrapping_add(1 + dice.below(255) as u8),
        };
    }
}

/// Takes up to a quarter of the bytes out of the middle; the first and the last stay.
pub fn take_out(bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.len() < 8 {
        return;
    }
    let n = 1 + dice.below(bytes.len() / 4);
    let at = 1 + dice.below(bytes.len() - n - 1);
    bytes.drain(at..at + n);
}

/// Puts up to 40 bytes in, or a copy of some that are there.
pub fn put_in(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len());
    let n = 1 + dice.below(40);
    let new = match dice.below(2) {
        0 => dice.bytes(n),
        _ => bytes[at..(at + n).min(bytes.len())].to_vec(),
    };
    bytes.splice(at..at, new);
}

/// Any of these.
pub fn hurt(bytes: &mut Vec<u8>, dice: &mut Dice) {
    match dice.below(5) {
        0 => flip(bytes, 4, dice),
        1 => {
            let end = dice.below(bytes.len());
            bytes.truncate(end);
        }
        2 => take_out(bytes, dice),
        3 => put_in(bytes, dice),
        _ => bytes.clear(),
    }
}
