//! Changes to an input, from a seed.

use ringlog_reactor::sim::Chance;

/// Numbers at which something may go wrong.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
];

/// Changes `input` in one to a few places; `other` is another input to take from.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], chance: &mut Chance, bytes_max: usize) {
    let changes = 1 + chance.below(4) + if chance.one_in(8) { 8 } else { 0 };
    for _ in 0..changes {
        change(input, other, chance);
    }
    input.truncate(bytes_max);
}

fn change(input: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.index(input.len().max(1));
    if input.is_empty() {
        input.extend_from_slice(other);
        return;
    }
    match chance.below(10) {
        0 => input[at] ^= 1 << chance.below(8),
        1 => input[at] = low_byte(chance.any()),
        2..=4 => put_number(input, at, chance),
        5 => nudge_number(input, at, chance),
        6 => input.truncate(at),
        7 => {
            let end = (at + 1 + chance.index(64)).min(input.len());
            input.drain(at..end);
        }
        8 => {
            let end = (at + 1 + chance.index(256)).min(input.len());
            let copy = input[at..end].to_vec();
            let to = chance.index(input.len());
            input.splice(to..to, copy);
        }
        _ => {
            let from = chance.index(other.len().max(1)).min(other.len());
            let end = (from + 1 + chance.index(256)).min(other.len());
            let to = (at + (end - from)).min(input.len());
            input.splice(at..to, other[from..end].iter().copied());
        }
    }
}

/// Writes one of [`NUMBERS`], or a small one, over a field of any width and either byte order. Fields mostly lie at
/// multiples of their width.
fn put_number(input: &mut [u8], at: usize, chance: &mut Chance) {
    let number = match chance.one_in(4) {
        true => chance.below(300),
        false => NUMBERS[chance.index(NUMBERS.len())],
    };
    put(input, at, number, chance);
}

/// Adds a little to a field, or takes it away.
fn nudge_number(input: &mut [u8], at: usize, chance: &mut Chance) {
    let by = low_byte(1 + chance.below(16));
    let byte = &mut input[at];
    *byte = match chance.coin() {
        true => byte.wrapping_add(by),
        false => byte.wrapping_sub(by),
    };
}

fn put(input: &mut [u8], at: usize, number: u64, chance: &mut Chance) {
    let width = [1, 2, 4, 8][chance.index(4)];
    let at = match chance.one_in(3) {
        true => at,
        false => at - at % width,
    };
    let bytes = match chance.coin() {
        true => number.to_le_bytes()[..width].to_vec(),
        false => number.to_be_bytes()[8 - width..].to_vec(),
    };
    for (to, from) in input[at..].iter_mut().zip(bytes) {
        *to = from;
    }
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}
