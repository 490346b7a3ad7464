//! The stack machine for pickles of images: instructions in, values out.
//!
//! Instruction codes are those of Python's `pickle` module, protocols 2 to 5. Every
//! instruction makes at most one value, and bytes turned back from text are no more
//! than the file has, so that memory is bounded by the limits here.

use std::collections::HashMap;
use std::sync::Arc;

use super::value::{Arena, Bytes, Element, Id, Known, Value};
use crate::files::sanitized;

/// Most instructions that are followed; an image needs about 20.
const MAX_INSTRUCTIONS: usize = 4 << 20;
/// Longest name of a module or function.
const MAX_NAME: usize = 256;
const HIGHEST_PROTOCOL: u8 = 5;

struct Machine<'a> {
    input: &'a [u8],
    next: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Bytes that may still be turned back from text.
    encodable: usize,
}

/// Follows the instructions of `input` up to its end.
pub(super) fn run(input: &[u8]) -> Result<Arena<'_>, String> {
    let mut machine = Machine {
        input,
        next: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        encodable: input.len(),
    };
    for _ in 0..MAX_INSTRUCTIONS {
        let at = machine.next;
        let outcome = machine.byte().and_then(|code| match code {
            b'.' => machine.pop().map(Some),
            code => machine.step(code).map(|()| None),
        });
        if let Some(root) = outcome.map_err(|what| format!("at byte {at}: {what}"))? {
            return Ok(Arena { values: machine.values, root });
        }
    }
    Err(format!("it has more than {MAX_INSTRUCTIONS} instructions, more than any set of images"))
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // PROTO, FRAME
            0x80 => match self.byte()? {
                2..=HIGHEST_PROTOCOL => {}
                other => return Err(format!("pickle protocol {other} is not one of 2 to 5")),
            },
            0x95 => drop(self.take(8)?),
            // MARK, POP, POP_MARK
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            // BININT1, BININT2, BININT
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c | b'X' | 0x8d => {
                let len = self.length(match code {
                    0x8c => 1,
                    b'X' => 4,
                    _ => 8,
                })?;
                let text = std::str::from_utf8(self.take(len)?);
                self.push(Value::Text(text.map_err(|_| "a text is not UTF-8")?));
            }
            // SHORT_BINBYTES, SHORT_BINSTRING (Python 2), BINBYTES, BINSTRING,
            // BINBYTES8, BYTEARRAY8
            b'C' | b'U' | b'B' | b'T' | 0x8e | 0x96 => {
                let len = self.length(match code {
                    b'C' | b'U' => 1,
                    b'B' | b'T' => 4,
                    _ => 8,
                })?;
                self.take(len)?;
                self.push(Value::Bytes(Bytes::Inside(self.next - len..self.next)));
            }
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(code - 0x84))?;
                self.push(Value::Tuple(items));
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items));
            }
            // EMPTY_LIST, LIST, APPEND, APPENDS
            b']' => self.push(Value::List(Vec::new())),
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items));
            }
            b'a' | b'e' => {
                let items = if code == b'a' { self.pop_many(1)? } else { self.pop_to_mark()? };
                let list = self.top()?;
                match self.values.get_mut(list.0) {
                    Some(Value::List(list)) => list.extend(items),
                    _ => return Err("values are appended to something else than a list".into()),
                }
            }
            // BINGET, LONG_BINGET, BINPUT, LONG_BINPUT, MEMOIZE
            b'h' | b'j' => {
                let key = self.length(if code == b'h' { 1 } else { 4 })? as u32;
                let id = self.memo.get(&key).copied();
                self.stack.push(id.ok_or("a value is recalled that was never remembered")?);
            }
            b'q' | b'r' => {
                let key = self.length(if code == b'q' { 1 } else { 4 })? as u32;
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u32, top);
            }
            // GLOBAL, STACK_GLOBAL, REDUCE, BUILD
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.name(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (&Value::Text(module), &Value::Text(name)) = (self.get(module), self.get(name))
                else {
                    return Err("a name to refer to is not text".into());
                };
                self.name(module, name)?;
            }
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let value = self.call(callable, arguments)?;
                self.push(value);
            }
            b'b' => {
                let state = self.pop()?;
                self.build(state)?;
            }
            _ => {
                return Err(format!(
                    "instruction 0x{code:02x} is not one that sets of images need"
                ));
            }
        }
        Ok(())
    }

    fn name(&mut self, module: &str, name: &str) -> Result<(), String> {
        let known = Known::of(module, name).ok_or_else(|| {
            let name = sanitized(&format!("{module}.{name}"));
            format!(
                "it refers to `{name}`, and this program refuses to call that: a set of images \
                 holds only bytes, arrays of bytes and labels"
            )
        })?;
        self.push(Value::Known(known));
        Ok(())
    }

    fn call(&mut self, callable: Id, arguments: Id) -> Result<Value<'a>, String> {
        let &Value::Known(known) = self.get(callable) else {
            return Err("something else than a function is called".into());
        };
        let Value::Tuple(arguments) = self.get(arguments) else {
            return Err("the arguments of a call are not a tuple".into());
        };
        match (known, arguments.as_slice()) {
            (Known::Encode | Known::ToBytes, &[text, ..]) if arguments.len() <= 2 => {
                match self.get(text) {
                    Value::Bytes(bytes) => Ok(Value::Bytes(bytes.clone())),
                    &Value::Text(text) => self.encode(text),
                    _ => Err("bytes are made of something else than text".into()),
                }
            }
            (Known::ToBytes, []) => Ok(Value::Bytes(Bytes::Inside(0..0))),
            (Known::Reconstruct, &[class, ..]) => match self.get(class) {
                Value::Known(Known::Array) => Ok(Value::Array(None)),
                _ => Err("something else than an array is reconstructed".into()),
            },
            (Known::FromBuffer, &[bytes, dtype, shape, ..]) => {
                Ok(Value::Array(Some(self.byte_array(shape, dtype, bytes)?)))
            }
            (Known::Scalar, &[dtype, bytes]) => match (self.get(dtype), self.get(bytes)) {
                (Value::Dtype(Element::Bool), Value::Bytes(bytes)) if bytes.len() == 1 => {
                    Ok(Value::Bool(bytes.of(self.input) != [0]))
                }
                _ => Err("a NumPy scalar is not a bool".into()),
            },
            (Known::Dtype, &[name, ..]) => {
                let name = match self.get(name) {
                    Value::Text(name) => name.as_bytes(),
                    Value::Bytes(name) => name.of(self.input),
                    _ => return Err("an element type is not named by text".into()),
                };
                match name {
                    b"u1" | b"|u1" | b"uint8" => Ok(Value::Dtype(Element::Byte)),
                    b"b1" | b"|b1" | b"bool" => Ok(Value::Dtype(Element::Bool)),
                    _ => Err("an array holds something else than bytes".into()),
                }
            }
            _ => Err("a call has the wrong arguments".into()),
        }
    }

    /// Bytes written as text with one character, up to U+00FF, a byte.
    fn encode(&mut self, text: &str) -> Result<Value<'a>, String> {
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
        let bytes = bytes.ok_or("bytes are made of text that is not Latin-1")?;
        // Recalled again and again one text could fill memory.
        let left = self.encodable.checked_sub(bytes.len());
        self.encodable = left.ok_or("more bytes are made of text than the file has")?;
        Ok(Value::Bytes(Bytes::Owned(Arc::new(bytes))))
    }

    /// Sets the state of the array or element type on top of the stack.
    fn build(&mut self, state: Id) -> Result<(), String> {
        let top = self.top()?;
        match (self.get(top), self.get(state)) {
            // Byte order and alignment: a byte has neither.
            (Value::Dtype(_), Value::Tuple(_)) => Ok(()),
            (Value::Array(None), Value::Tuple(state)) => {
                let &[_version, shape, dtype, _order, bytes] = state.as_slice() else {
                    return Err("the state of an array has not five parts".into());
                };
                let bytes = self.byte_array(shape, dtype, bytes)?;
                self.values[top.0] = Value::Array(Some(bytes));
                Ok(())
            }
            _ => Err("state is set on something that has none".into()),
        }
    }

    /// The bytes of a one-dimensional array of bytes.
    fn byte_array(&self, shape: Id, dtype: Id, bytes: Id) -> Result<Bytes, String> {
        let (Value::Tuple(shape), Value::Dtype(Element::Byte), Value::Bytes(bytes)) =
            (self.get(shape), self.get(dtype), self.get(bytes))
        else {
            return Err("an array is not one of bytes".into());
        };
        let sizes = shape.iter().map(|&size| match self.get(size) {
            &Value::Int(size) => usize::try_from(size).ok(),
            _ => None,
        });
        let sizes: Vec<Option<usize>> = sizes.take(3).collect();
        match sizes.as_slice() {
            [Some(size)] | [Some(size), Some(1)] | [Some(1), Some(size)]
                if *size == bytes.len() =>
            {
                Ok(bytes.clone())
            }
            _ => Err("an array's shape is not that of one encoded image".into()),
        }
    }

    fn get(&self, id: Id) -> &Value<'a> {
        self.values.get(id.0).unwrap_or(&Value::None)
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(Id(self.values.len()));
        self.values.push(value);
    }

    fn top(&self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&id) if self.stack.len() > floor => Ok(id),
            _ => Err("a value is taken from an empty stack".into()),
        }
    }

    fn pop(&mut self) -> Result<Id, String> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(height) if height >= floor => Ok(self.stack.split_off(height)),
            _ => Err("values are taken from an empty stack".into()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => Err("a mark is missing".into()),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let end = self.next.checked_add(len);
        let taken = end.and_then(|end| self.input.get(self.next..end));
        let taken = taken.ok_or("the file ends in the middle of a value")?;
        self.next += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| "the file ends in the middle of a value".to_owned())
    }

    fn byte(&mut self) -> Result<u8, String> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// An unsigned little-endian number of 1, 4 or 8 bytes.
    fn length(&mut self, width: usize) -> Result<usize, String> {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width)?);
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| "a length is too large".to_owned())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = self.input.get(self.next..).unwrap_or_default();
        let end = rest.iter().take(MAX_NAME).position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or("a name to refer to has no end")?)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "a name to refer to is not UTF-8".to_owned())
    }
}
