//! Walks over the text of a document: takes what JSON (RFC 8259) allows and nothing else, and keeps nothing.
//!
//! Invariant: it never stands behind the end of the text, and every loop takes at least a byte a turn.

use std::borrow::Cow;

use crate::record::DecodeError;

/// How deep arrays and objects may lie in each other where they are passed over: one bit each says which it is.
const DEEPEST: u32 = u128::BITS;

/// A text, and how far it was read.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'d> {
    pub(super) text: &'d [u8],
    pub(super) at: usize,
}

/// A text of the document, in its quotes.
pub(super) struct Quoted<'d> {
    bytes: &'d [u8],
    has_escapes: bool,
}

impl<'d> Scanner<'d> {
    pub(super) fn new(text: &'d [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The text is not JSON here.
    #[cold]
    pub(super) fn fault(&self, reason: &str) -> DecodeError {
        DecodeError::Json {
            reason: match self.text.len() {
                length if self.at < length => format!("{reason} at byte {}", self.at),
                length => format!("it ends after {length} bytes, where {reason}"),
            },
        }
    }

    /// The byte here; 0, which nothing may begin with, at the end.
    #[inline]
    pub(super) fn byte(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// The next byte that is no white space, to which it goes; 0 at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.byte() {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// Goes into the array or object that begins here and ends with `close`: whether anything is in it.
    #[inline]
    pub(super) fn open(&mut self, close: u8) -> bool {
        self.at += 1;
        let is_empty = self.peek() == close;
        self.at += usize::from(is_empty);
        !is_empty
    }

    /// Goes behind what follows an item: whether another one does, in what ends with `close`.
    #[inline]
    pub(super) fn more(&mut self, close: u8) -> Result<bool, DecodeError> {
        let byte = self.peek();
        if byte != b',' && byte != close {
            let brackets = close == b']';
            return Err(self.fault(if brackets {
                "`,` or `]` is expected"
            } else {
                "`,` or `}` is expected"
            }));
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// Goes behind the colon that follows a name.
    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), DecodeError> {
        if self.peek() != b':' {
            return Err(self.fault("`:` is expected"));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes to the end, before which nothing but white space may stand.
    pub(super) fn end(&mut self) -> Result<(), DecodeError> {
        self.peek();
        if self.at < self.text.len() {
            return Err(self.fault("something follows behind the document,"));
        }
        Ok(())
    }

    /// Goes behind `true`, `false` or `null`.
    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), DecodeError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.no_value());
        }
        self.at += word.len();
        Ok(())
    }

    /// Goes behind `true` or `false`, of which it makes a number. Nobody can foretell which it is: no branch depends on it. At the
    /// very end of a text, and where it is neither, it goes nowhere.
    #[inline]
    pub(super) fn truth(&mut self) -> Option<f32> {
        let five: &[u8; 5] = self.text.get(self.at..)?.first_chunk()?;
        let (is_true, is_false) = (five[..4] == *b"true", five == b"false");
        if !(is_true | is_false) {
            return None;
        }
        self.at += 5 - usize::from(is_true);
        Some(f32::from(u8::from(is_true)))
    }

    #[cold]
    pub(super) fn no_value(&self) -> DecodeError {
        self.fault("a value is expected")
    }

    /// Goes behind the name of a member.
    pub(super) fn name(&mut self) -> Result<Quoted<'d>, DecodeError> {
        if self.peek() != b'"' {
            return Err(self.fault("a name is expected"));
        }
        self.quoted()
    }

    /// Goes behind the text whose quote stands here.
    pub(super) fn quoted(&mut self) -> Result<Quoted<'d>, DecodeError> {
        let start = self.at;
        self.at += 1;
        let mut has_escapes = false;
        loop {
            self.pass_plain();
            match self.byte() {
                b'"' => {
                    self.at += 1;
                    return Ok(Quoted {
                        bytes: &self.text[start..self.at],
                        has_escapes,
                    });
                }
                b'\\' => {
                    has_escapes = true;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return Err(self.fault("the end of a text is expected")),
            }
        }
    }

    /// Goes to the next byte that is a quote, a backslash or a control character.
    fn pass_plain(&mut self) {
        const ONES: u64 = u64::from_ne_bytes([1; 8]);
        while let Some(eight) = self.text[self.at..].first_chunk::<8>() {
            let word = u64::from_le_bytes(*eight);
            // The highest bit of each byte that is below a limit. Bytes behind such a one may be told wrong.
            let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
            let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
            let special = (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7);
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while !matches!(self.byte(), 0..0x20 | b'"' | b'\\') {
            self.at += 1;
        }
    }

    /// Goes behind an escape, whose backslash is read.
    fn escape(&mut self) -> Result<(), DecodeError> {
        let wrong = "a character that can be escaped is expected";
        match self.byte() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_ascii_hexdigit() {
                        return Err(self.fault(wrong));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.fault(wrong)),
        }
        Ok(())
    }

    /// Goes behind a value, whatever it is.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        // What lies around the value here: a bit each from the lowest on, which is 1 for an object.
        let (mut around, mut depth) = (0_u128, 0);
        loop {
            match self.peek() {
                b'"' => {
                    self.quoted()?;
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                bracket @ (b'[' | b'{') => {
                    let is_object = bracket == b'{';
                    if self.open(close(is_object)) {
                        if depth == DEEPEST {
                            return Err(self.fault("values lie more than 128 deep in each other"));
                        }
                        (around, depth) = (around << 1 | u128::from(is_object), depth + 1);
                        if is_object {
                            self.name()?;
                            self.colon()?;
                        }
                        continue;
                    }
                }
                _ => return Err(self.no_value()),
            }
            // The value ends, and perhaps what lies around it.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let is_object = around & 1 == 1;
                if self.more(close(is_object))? {
                    if is_object {
                        self.name()?;
                        self.colon()?;
                    }
                    break;
                }
                (around, depth) = (around >> 1, depth - 1);
            }
        }
    }
}

fn close(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

impl<'d> Quoted<'d> {
    /// What it says, where it can be read as it stands there.
    pub(super) fn plain(&self) -> Option<&'d [u8]> {
        let inner = &self.bytes[1..self.bytes.len() - 1];
        (!self.has_escapes && inner.is_ascii()).then_some(inner)
    }

    /// What it says. Nothing where it is not UTF-8, or has half of a surrogate pair.
    pub(super) fn read(&self) -> Option<Cow<'d, str>> {
        if self.has_escapes {
            let unescaped = serde_json::from_slice::<String>(self.bytes).ok();
            return unescaped.map(Cow::Owned);
        }
        let inner = &self.bytes[1..self.bytes.len() - 1];
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }
}
