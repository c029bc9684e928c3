//! JSON: how the records are written, and the loops that were written to read them.

use serde_json::json;

use crate::bytes::{exact, narrowed};
use crate::workload::{IMAGE, Language, SPECTRUM};

pub(crate) fn language() -> Language {
    Language {
        name: "JSON",
        formats: [(); 3].map(|()| json!({"type": "JSON"})),
        reading: |reading| {
            format!(
                r#"{{"device":"{}","at":{},"temperature":{},"humidity":{},"pressure":{},"vibration":{},"load":{},"errors":{},"on":{},"level":{},"note":"{}"}}"#,
                reading.device,
                reading.at,
                reading.temperature,
                reading.humidity,
                reading.pressure,
                reading.vibration,
                reading.load,
                reading.errors,
                reading.on,
                reading.level,
                reading.note
            )
            .into_bytes()
        },
        image: |pixels| array("image", "pixels", pixels),
        spectrum: |numbers| array("spectrum", "spectrum", numbers),
        by_hand: [
            read_reading,
            |record, row| {
                let start = row.len();
                read_array(record, b"pixels", |cursor| {
                    row.push(exact(cursor.integer()?)?);
                    Some(())
                })?;
                (row.len() - start == IMAGE as usize).then_some(())
            },
            |record, row| {
                let start = row.len();
                read_array(record, b"spectrum", |cursor| {
                    row.push(narrowed(cursor.number()?)?);
                    Some(())
                })?;
                (row.len() - start == SPECTRUM as usize).then_some(())
            },
        ],
    }
}

/// Without white space, as programs write it.
fn array<T: ToString>(name: &str, field: &str, numbers: &[T]) -> Vec<u8> {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let numbers = numbers.join(",");
    format!(r#"{{"name":"{name}","{field}":[{numbers}]}}"#).into_bytes()
}

/// A text, and how far it was read.
struct Cursor<'d> {
    text: &'d [u8],
    at: usize,
}

impl<'d> Cursor<'d> {
    /// The next byte that is no white space, which stays.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let b' ' | b'\n' | b'\r' | b'\t' = self.text.get(self.at)? {
            self.at += 1;
        }
        Some(self.text[self.at])
    }

    /// The next byte that is no white space.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A text without escapes: none of these records has any.
    fn string(&mut self) -> Option<&'d [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' | 0..0x20 => return None,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(&self.text[start..self.at - 1])
    }

    #[inline]
    fn digits(&mut self, mut number: u64) -> u64 {
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        number
    }

    #[inline]
    fn sign(&mut self) -> Option<bool> {
        let is_negative = self.peek()? == b'-';
        self.at += usize::from(is_negative);
        Some(is_negative)
    }

    #[inline]
    fn integer(&mut self) -> Option<i64> {
        let is_negative = self.sign()?;
        let start = self.at;
        let number = i64::try_from(self.digits(0)).ok()?;
        let is_short = (1..=18).contains(&(self.at - start));
        is_short.then_some(if is_negative { -number } else { number })
    }

    #[inline]
    fn number(&mut self) -> Option<f64> {
        const POWERS: [f64; 16] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        ];
        let is_negative = self.sign()?;
        let start = self.at;
        let mut mantissa = self.digits(0);
        if self.at == start {
            return None;
        }
        let mut places = 0;
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            let point = self.at;
            mantissa = self.digits(mantissa);
            places = self.at - point;
        }
        let has_exponent = matches!(self.text.get(self.at), Some(b'e' | b'E'));
        if has_exponent || self.at - start > POWERS.len() {
            while let Some(b'0'..=b'9' | b'e' | b'E' | b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            let number = std::str::from_utf8(&self.text[start..self.at]).ok()?;
            let number: f64 = number.parse().ok()?;
            return Some(if is_negative { -number } else { number });
        }
        let number = mantissa as f64 / POWERS[places];
        Some(if is_negative { -number } else { number })
    }

    fn truth(&mut self) -> Option<f32> {
        self.peek()?;
        let (word, number) = match self.text[self.at] {
            b't' => (&b"true"[..], 1.0),
            _ => (&b"false"[..], 0.0),
        };
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            number
        })
    }

    /// A text or a number: there is nothing else that is not wanted.
    fn skip(&mut self) -> Option<()> {
        if self.peek()? == b'"' {
            self.string().map(|_| ())
        } else {
            self.number().map(|_| ())
        }
    }

    /// Reads an object, whose members `read` takes.
    #[inline]
    fn object(&mut self, mut read: impl FnMut(&mut Self, &[u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            read(self, name)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }
}

fn read_reading(record: &[u8], row: &mut Vec<f32>) -> Option<()> {
    let mut cursor = Cursor {
        text: record,
        at: 0,
    };
    let mut numbers = [0.0_f32; 8];
    let mut seen = 0_u32;
    cursor.object(|cursor, name| {
        let (place, number) = match name {
            b"temperature" => (0, narrowed(cursor.number()?)?),
            b"humidity" => (1, narrowed(cursor.number()?)?),
            b"pressure" => (2, narrowed(cursor.number()?)?),
            b"vibration" => (3, narrowed(cursor.number()?)?),
            b"load" => (4, narrowed(cursor.number()?)?),
            b"errors" => (5, exact(cursor.integer()?)?),
            b"on" => (6, cursor.truth()?),
            b"level" => (7, exact(cursor.integer()?)?),
            _ => return cursor.skip(),
        };
        numbers[place] = number;
        seen += 1;
        Some(())
    })?;
    cursor.end()?;
    row.extend(numbers);
    (seen == 8).then_some(())
}

#[inline]
fn read_array(
    record: &[u8],
    wanted: &[u8],
    mut push: impl FnMut(&mut Cursor<'_>) -> Option<()>,
) -> Option<()> {
    let mut cursor = Cursor {
        text: record,
        at: 0,
    };
    cursor.object(|cursor, name| {
        if name != wanted {
            return cursor.skip();
        }
        cursor.expect(b'[')?;
        loop {
            push(cursor)?;
            match cursor.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    })?;
    cursor.end()
}
