//! The stack machine: executes instructions and builds an arena of values.

use std::collections::HashMap;

use super::reader::Reader;
use super::{Id, Limits, Refusal, Returned, Value, Values, Vocabulary};

/// Opcodes that every vocabulary permits: frames, the stack, numbers, strings, bytes, tuples,
/// lists, the memo, names and calls.
const COMMON: &[u8] = &[
    0x80, 0x95, b'(', b'0', b'1', b'N', 0x88, 0x89, b'K', b'M', b'J', 0x8c, b'X', 0x8d, b'C', b'B',
    0x8e, 0x96, b')', 0x85, 0x86, 0x87, b't', b']', b'l', b'a', b'e', b'h', b'j', b'q', b'r', 0x94,
    b'c', 0x93, b'R', b'b',
];

/// STOP.
const STOP: u8 = b'.';

struct Machine<'a, 'v, V: Vocabulary<'a>> {
    vocabulary: &'v mut V,
    reader: Reader<'a>,
    values: Values<'a, V::Object>,
    stack: Vec<Id>,
    /// Stack heights at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

/// Executes all instructions of `input`. Returns the values and the id of the result.
///
/// # Errors
///
/// If the pickle does something that `vocabulary` does not permit, is damaged or exceeds `limits`.
pub fn run<'a, V: Vocabulary<'a>>(
    input: &'a [u8],
    vocabulary: &mut V,
    limits: Limits,
) -> Result<(Values<'a, V::Object>, Id), Refusal<'a>> {
    if input.len() > limits.bytes {
        return Err(Refusal::TooLarge { limit: limits.bytes, unit: "bytes" });
    }
    let mut machine = Machine {
        vocabulary,
        reader: Reader::new(input, limits.name),
        values: Values(Vec::new()),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for _ in 0..limits.instructions {
        let opcode = machine.reader.instruction()?;
        if opcode == STOP {
            let root = machine.pop()?;
            return Ok((machine.values, root));
        }
        if !COMMON.contains(&opcode) && !V::OPCODES.contains(&opcode) {
            return Err(Refusal::UnknownInstruction { at: machine.reader.at, opcode });
        }
        machine.step(opcode)?;
    }
    Err(Refusal::TooLarge { limit: limits.instructions, unit: "instructions" })
}

impl<'a, V: Vocabulary<'a>> Machine<'a, '_, V> {
    fn step(&mut self, opcode: u8) -> Result<(), Refusal<'a>> {
        match opcode {
            // PROTO, FRAME
            0x80 => self.reader.protocol()?,
            0x95 => drop(self.reader.take(8)?),
            // MARK, POP, POP_MARK, DUP
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            // NONE, NEWTRUE, NEWFALSE, BINFLOAT
            b'N' => self.push(Value::Opaque),
            0x88 | 0x89 => self.push(Value::Bool(opcode == 0x88)),
            b'G' => {
                self.reader.take(8)?;
                self.push(Value::Opaque);
            }
            // BININT1, BININT2, BININT, LONG1, LONG4
            b'K' => {
                let value = self.reader.byte()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.reader.array()?);
                self.push(Value::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.reader.array()?);
                self.push(Value::Int(value.into()));
            }
            0x8a | 0x8b => {
                let len =
                    if opcode == 0x8a { self.reader.byte()?.into() } else { self.reader.len4()? };
                let value = self.reader.long(len)?.map_or(Value::Opaque, Value::Int);
                self.push(value);
            }
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c | b'X' | 0x8d => {
                let len = match opcode {
                    0x8c => self.reader.byte()?.into(),
                    b'X' => self.reader.len4()?,
                    _ => self.reader.len8()?,
                };
                let text = self.reader.text(len)?;
                self.push(Value::Text(text));
            }
            // SHORT_BINBYTES, SHORT_BINSTRING, BINBYTES, BINSTRING, BINBYTES8, BYTEARRAY8
            b'C' | b'U' | b'B' | b'T' | 0x8e | 0x96 => {
                let len = match opcode {
                    b'C' | b'U' => self.reader.byte()?.into(),
                    b'B' | b'T' => self.reader.len4()?,
                    _ => self.reader.len8()?,
                };
                let (start, bytes) = self.reader.take(len)?;
                self.push(Value::Bytes { start, bytes });
            }
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
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
                let items = if opcode == b'a' { self.pop_many(1)? } else { self.pop_to_mark()? };
                self.append(items)?;
            }
            // EMPTY_DICT, DICT, SETITEM, SETITEMS
            b'}' => self.push(Value::Dict(Vec::new())),
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Dict(Vec::new()));
                self.set_items(&items)?;
            }
            b's' | b'u' => {
                let items = if opcode == b's' { self.pop_many(2)? } else { self.pop_to_mark()? };
                self.set_items(&items)?;
            }
            // BINGET, LONG_BINGET, BINPUT, LONG_BINPUT, MEMOIZE
            b'h' | b'j' => {
                let key = self.memo_key(opcode == b'j')?;
                match self.memo.get(&key) {
                    Some(&id) => self.stack.push(id),
                    None => return Err(self.malformed("a memo entry is read but was never set")),
                }
            }
            b'q' | b'r' => {
                let key = self.memo_key(opcode == b'r')?;
                self.memoize(key)?;
            }
            0x94 => {
                let key = u32::try_from(self.memo.len())
                    .map_err(|_| self.malformed("the memo is too large"))?;
                self.memoize(key)?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let module = self.reader.line()?;
                let name = self.reader.line()?;
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (&Value::Text(module), &Value::Text(name)) =
                    (self.values.get(module), self.values.get(name))
                else {
                    return Err(self.malformed("the name of a function or class is not text"));
                };
                self.global(module, name)?;
            }
            // NEWOBJ, REDUCE, BUILD, BINPERSID
            0x81 => {
                let (_, class) = (self.pop()?, self.pop()?);
                let object =
                    self.vocabulary.new_object(callable(&self.values, &self.reader, class)?);
                let object = object.map_err(|what| self.malformed(what))?;
                self.push(Value::Object(object));
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let function = callable(&self.values, &self.reader, function)?;
                let Value::Tuple(arguments) = self.values.get(arguments) else {
                    return Err(self.malformed("the arguments of a call are not a tuple"));
                };
                let returned = self.vocabulary.call(&self.values, function, arguments);
                match returned.map_err(|what| self.malformed(what))? {
                    Returned::New(value) => self.push(value),
                    Returned::Existing(id) => self.stack.push(id),
                }
            }
            b'b' => {
                let state = self.pop()?;
                let value = self.top()?;
                let changed = self.vocabulary.set_state(&self.values, value, state);
                if let Some(object) = changed.map_err(|what| self.malformed(what))?
                    && let Some(value) = self.values.get_mut(value)
                {
                    *value = Value::Object(object);
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let object = self.vocabulary.persistent(&self.values, id);
                let object = object.map_err(|what| self.malformed(what))?;
                self.push(Value::Object(object));
            }
            _ => return Err(Refusal::UnknownInstruction { at: self.reader.at, opcode }),
        }
        Ok(())
    }

    fn malformed(&self, what: &'static str) -> Refusal<'a> {
        self.reader.malformed(what)
    }

    fn push(&mut self, value: Value<'a, V::Object>) {
        let id = self.values.add(value);
        self.stack.push(id);
    }

    /// Stack height at the last open mark; values below it are out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id, Refusal<'a>> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => Err(self.malformed("a value is taken from an empty stack")),
        }
    }

    fn pop(&mut self) -> Result<Id, Refusal<'a>> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Refusal<'a>> {
        match self.stack.len().checked_sub(count) {
            Some(height) if height >= self.floor() => Ok(self.stack.split_off(height)),
            _ => Err(self.malformed("values are taken from an empty stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Refusal<'a>> {
        match self.marks.pop() {
            // No instruction pops values from below the last mark.
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => Err(self.malformed("a mark is missing")),
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), Refusal<'a>> {
        let list = self.top()?;
        match self.values.get_mut(list) {
            Some(Value::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.malformed("values are appended to something that is not a list")),
        }
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Refusal<'a>> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("a dictionary key has no value"));
        }
        let dict = self.top()?;
        match self.values.get_mut(dict) {
            Some(Value::Dict(dict)) => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(self.malformed("keys are set on something that is not a dictionary")),
        }
    }

    fn memo_key(&mut self, long: bool) -> Result<u32, Refusal<'a>> {
        if long { self.reader.u32() } else { self.reader.byte().map(u32::from) }
    }

    fn memoize(&mut self, key: u32) -> Result<(), Refusal<'a>> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<(), Refusal<'a>> {
        let object = self.vocabulary.global(module, name);
        let object = object.ok_or(Refusal::ForbiddenGlobal { module, name })?;
        self.push(Value::Object(object));
        Ok(())
    }
}

/// The function or class at an index.
fn callable<'m, 'a, O>(
    values: &'m Values<'a, O>,
    reader: &Reader<'a>,
    id: Id,
) -> Result<&'m O, Refusal<'a>> {
    match values.get(id) {
        Value::Object(object) => Ok(object),
        _ => Err(reader.malformed("something that is not a function or class is called")),
    }
}
