//! Deterministic CBOR, exactly the subset of docs/protocol.md section 1, strict in both directions.
//!
//! Rules, in the order in which they are checked at each item: E1 (length), E2 (shortest form), E3
//! (types, depth, UTF-8). E5 and E6 belong to records and are raised by the typed readers below; E7
//! is checked by encoding again.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};

/// Arrays may be nested this deep; the outermost array is at depth 1.
pub const MAX_DEPTH: usize = 16;

/// A value, borrowing its strings from the input. `Negative(n)` stands for the integer -1 - n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    Unsigned(u64),
    Negative(u64),
    Bytes(&'a [u8]),
    Text(&'a str),
    Array(Vec<Value<'a>>),
    EmptyMap,
    Bool(bool),
    Null,
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Value::Bytes(bytes)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Value::Unsigned(number)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl<'a> From<Vec<Value<'a>>> for Value<'a> {
    fn from(items: Vec<Value<'a>>) -> Self {
        Value::Array(items)
    }
}

/// The text `counterseal/v1/NAME`, the first element of every record.
macro_rules! tag {
    ($name:literal) => {
        concat!("counterseal/v1/", $name)
    };
}

/// An array value: `list![tag!("frame"), seq, &r]`.
macro_rules! list {
    ($($item:expr),* $(,)?) => {
        $crate::cbor::Value::Array(vec![$($crate::cbor::Value::from($item)),*])
    };
}

pub(crate) use {list, tag};

// ---- encoding

/// The deterministic encoding of `value`.
pub fn encode(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value);
    out
}

/// SHA-256 over the encoding of `value`: the `H` of docs/protocol.md.
pub fn hash(value: &Value<'_>) -> [u8; 32] {
    Sha256::digest(encode(value)).into()
}

fn write(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Unsigned(n) => head(out, 0, *n),
        Value::Negative(n) => head(out, 1, *n),
        Value::Bytes(b) => {
            head(out, 2, b.len() as u64);
            out.extend_from_slice(b);
        }
        Value::Text(t) => {
            head(out, 3, t.len() as u64);
            out.extend_from_slice(t.as_bytes());
        }
        Value::Array(items) => {
            head(out, 4, items.len() as u64);
            items.iter().for_each(|item| write(out, item));
        }
        Value::EmptyMap => out.push(0xa0),
        Value::Bool(false) => out.push(0xf4),
        Value::Bool(true) => out.push(0xf5),
        Value::Null => out.push(0xf6),
    }
}

fn head(out: &mut Vec<u8>, major: u8, n: u64) {
    let major = major << 5;
    let be = n.to_be_bytes();
    match n {
        0..=23 => out.push(major | be[7]),
        24..=0xff => out.extend_from_slice(&[major | 24, be[7]]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&be[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&be[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&be);
        }
    }
}

// ---- decoding

/// Decodes one value that fills `input`, of at most `limit` bytes, exactly. Errors: E1, E2, E3, E4,
/// E7.
pub fn decode(input: &[u8], limit: usize) -> Result<Value<'_>> {
    if input.len() > limit {
        let message = format!("CBOR of {} bytes where the record may have {limit}", input.len());
        return Err(Error::new("E4", message));
    }
    let mut reader = Reader { input, at: 0 };
    let value = reader.value(0)?;
    if reader.at != input.len() {
        return Err(refuse("E1", "input goes on after the value", reader.at));
    }
    if encode(&value) != input {
        return Err(refuse("E7", "the value encodes to other bytes", 0));
    }
    Ok(value)
}

fn refuse(code: &'static str, what: &str, at: usize) -> Error {
    Error::new(code, format!("CBOR at byte {at}: {what}"))
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8]> {
        let rest = &self.input[self.at..];
        match usize::try_from(n).ok().and_then(|n| rest.get(..n)) {
            Some(slice) => {
                self.at += slice.len();
                Ok(slice)
            }
            None => Err(refuse("E1", "input ends early", self.at)),
        }
    }

    /// The argument of a head whose low five bits are `info`, in its shortest form.
    fn argument(&mut self, info: u8) -> Result<u64> {
        let width = match info {
            0..=23 => return Ok(u64::from(info)),
            24..=27 => 1u64 << (info - 24),
            31 => return Err(refuse("E2", "indefinite length", self.at)),
            _ => return Err(refuse("E3", "reserved length form", self.at)),
        };
        let n = self.take(width)?.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        let least = [24, 0x100, 0x1_0000, 0x1_0000_0000][usize::from(info - 24)];
        if n < least {
            return Err(refuse("E2", "not in the shortest form", self.at));
        }
        Ok(n)
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>> {
        let start = self.at;
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 31);
        match major {
            0 => self.argument(info).map(Value::Unsigned),
            1 => self.argument(info).map(Value::Negative),
            2 => {
                let n = self.argument(info)?;
                self.take(n).map(Value::Bytes)
            }
            3 => {
                let n = self.argument(info)?;
                std::str::from_utf8(self.take(n)?)
                    .map(Value::Text)
                    .map_err(|_| refuse("E3", "invalid UTF-8", start))
            }
            4 => self.array(info, depth + 1),
            5 => match self.argument(info)? {
                0 => Ok(Value::EmptyMap),
                _ => Err(refuse("E3", "a map with entries", start)),
            },
            7 => match info {
                20 => Ok(Value::Bool(false)),
                21 => Ok(Value::Bool(true)),
                22 => Ok(Value::Null),
                _ => Err(refuse("E3", "a float or another simple value", start)),
            },
            _ => Err(refuse("E3", "a CBOR tag", start)),
        }
    }

    fn array(&mut self, info: u8, depth: usize) -> Result<Value<'a>> {
        if depth > MAX_DEPTH {
            return Err(refuse("E3", "nesting over 16", self.at));
        }
        let n = self.argument(info)?;
        // Each element takes a byte at least, so a length beyond the input is refused before
        // anything is allocated for it.
        let left = (self.input.len() - self.at) as u64;
        if n > left {
            return Err(refuse("E1", "input ends early", self.at));
        }
        (0..n).map(|_| self.value(depth)).collect::<Result<Vec<_>>>().map(Value::Array)
    }
}

// ---- typed readers: E5, E6

fn wrong(place: &str, what: &str) -> Error {
    Error::new("E6", format!("{place}: {what}"))
}

impl<'a> Value<'a> {
    /// The elements of an array of exactly `N`. Errors: E6.
    pub fn array<const N: usize>(self, place: &str) -> Result<[Value<'a>; N]> {
        self.items(place)?.try_into().map_err(|_| wrong(place, "a wrong number of elements"))
    }

    /// The elements of a record of `N` elements whose first is `tag`. Errors: E5, E6.
    pub fn record<const N: usize>(self, tag: &'static str) -> Result<[Value<'a>; N]> {
        let items = self.items(tag)?;
        match items.first() {
            Some(Value::Text(found)) if *found == tag => {}
            Some(Value::Text(_)) => {
                return Err(Error::new("E5", format!("{tag}: a wrong tag or version")));
            }
            _ => return Err(wrong(tag, "no tag")),
        }
        items.try_into().map_err(|_| wrong(tag, "a wrong number of elements"))
    }

    pub fn items(self, place: &str) -> Result<Vec<Value<'a>>> {
        match self {
            Value::Array(items) => Ok(items),
            _ => Err(wrong(place, "not an array")),
        }
    }

    /// An unsigned integer that every language and database here can count to: at most 2^63 - 1.
    pub fn uint(&self, place: &str) -> Result<u64> {
        match self {
            Value::Unsigned(n) if *n < 1 << 63 => Ok(*n),
            Value::Unsigned(_) => Err(wrong(place, "an integer over 63 bits")),
            _ => Err(wrong(place, "not an unsigned integer")),
        }
    }

    pub fn text(&self, place: &str) -> Result<&'a str> {
        match self {
            Value::Text(t) => Ok(t),
            _ => Err(wrong(place, "not text")),
        }
    }

    /// Text of at least `least` and at most `most` characters.
    pub fn text_of(&self, least: usize, most: usize, place: &str) -> Result<&'a str> {
        let text = self.text(place)?;
        if (least..=most).contains(&text.chars().count()) {
            return Ok(text);
        }
        Err(wrong(place, &format!("not {least} to {most} characters")))
    }

    pub fn bytes(&self, place: &str) -> Result<&'a [u8]> {
        match self {
            Value::Bytes(b) => Ok(b),
            _ => Err(wrong(place, "not a byte string")),
        }
    }

    /// A byte string of exactly `N` bytes.
    pub fn fixed<const N: usize>(&self, place: &str) -> Result<&'a [u8; N]> {
        self.bytes(place)?.try_into().map_err(|_| wrong(place, &format!("not {N} bytes")))
    }

    /// Like [`Value::fixed`], or null.
    pub fn fixed_or_null<const N: usize>(&self, place: &str) -> Result<Option<&'a [u8; N]>> {
        match self {
            Value::Null => Ok(None),
            value => value.fixed(place).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(hex: &str) -> &'static str {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        match decode(&bytes, 1000) {
            Ok(_) => "valid",
            Err(e) => e.code,
        }
    }

    #[test]
    fn accepts_each_type_in_its_shortest_form() {
        for hex in [
            "00",
            "17",
            "1818",
            "190100",
            "1a00010000",
            "1b0000000100000000",
            "1bffffffffffffffff",
            "20",
            "3bffffffffffffffff",
            "40",
            "4101",
            "60",
            "6161",
            "80",
            "8101",
            "a0",
            "f4",
            "f5",
            "f6",
        ] {
            assert_eq!(code(hex), "valid", "{hex}");
        }
    }

    #[test]
    fn e1_refuses_short_and_long_input() {
        for hex in
            ["", "18", "41", "6261", "81", "0000", "9bffffffffffffffff", "5bffffffffffffffff"]
        {
            assert_eq!(code(hex), "E1", "{hex}");
        }
    }

    #[test]
    fn e2_refuses_longer_forms() {
        for hex in [
            "1817",
            "190018",
            "1a0000ffff",
            "1b00000000ffffffff",
            "3817",
            "5800",
            "7800",
            "9800",
            "b800",
            "5f",
            "7f",
            "9f",
            "bf",
        ] {
            assert_eq!(code(hex), "E2", "{hex}");
        }
    }

    #[test]
    fn e3_refuses_other_types() {
        for hex in [
            "c000",
            "f7",
            "f90000",
            "fa00000000",
            "fb0000000000000000",
            "f8ff",
            "a10000",
            "61ff",
            "e0",
        ] {
            assert_eq!(code(hex), "E3", "{hex}");
        }
        assert_eq!(code(&("81".repeat(15) + "80")), "valid");
        assert_eq!(code(&("81".repeat(16) + "80")), "E3");
    }

    #[test]
    fn e4_refuses_more_than_the_limit() {
        assert_eq!(decode(&[0x41, 0], 1).unwrap_err().code, "E4");
    }

    #[test]
    fn e5_and_e6_refuse_other_records() {
        let record = list!["counterseal/v1/a", 1];
        let code =
            |value: Value<'static>, tag| value.record::<2>(tag).map(|_| ()).map_err(|e| e.code);
        assert_eq!(code(record.clone(), "counterseal/v1/a"), Ok(()));
        assert_eq!(code(record.clone(), "counterseal/v1/b"), Err("E5"));
        assert_eq!(code(Value::Null, "counterseal/v1/a"), Err("E6"));
        assert_eq!(code(list![1], "counterseal/v1/a"), Err("E6"));
        assert_eq!(code(list!["counterseal/v1/a"], "counterseal/v1/a"), Err("E6"));
        assert_eq!(Value::Unsigned(1 << 63).uint("n").unwrap_err().code, "E6");
        assert_eq!(Value::Negative(0).uint("n").unwrap_err().code, "E6");
    }
}
