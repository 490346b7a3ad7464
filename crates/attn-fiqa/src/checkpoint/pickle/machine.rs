//! The stack machine: instructions in, an arena of values out.
//!
//! Instruction codes and their operands are those of Python's `pickle` module,
//! protocols 2 to 5.

use std::collections::HashMap;

use super::reader::Reader;
use super::{
    Arena, Callable, MAX_INSTRUCTIONS, MAX_PICKLE_BYTES, Node, NodeId, PickleProblem, resolve,
};

pub(super) struct Machine<'a> {
    reader: Reader<'a>,
    nodes: Vec<Node<'a>>,
    stack: Vec<NodeId>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, NodeId>,
}

/// Follows the instructions of `input` up to its end.
pub(super) fn run(input: &[u8]) -> Result<Arena<'_>, PickleProblem> {
    if input.len() > MAX_PICKLE_BYTES {
        return Err(PickleProblem::TooLarge { limit: MAX_PICKLE_BYTES, unit: "bytes" });
    }
    let mut machine = Machine {
        reader: Reader::new(input),
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for _ in 0..MAX_INSTRUCTIONS {
        let opcode = machine.reader.instruction()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            return Ok(Arena { nodes: machine.nodes, root });
        }
        machine.step(opcode)?;
    }
    Err(PickleProblem::TooLarge { limit: MAX_INSTRUCTIONS, unit: "instructions" })
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<(), PickleProblem> {
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
            // NONE, NEWTRUE, NEWFALSE
            b'N' | 0x88 | 0x89 => self.push(Node::Opaque),
            // BININT1, BININT2, BININT, LONG1, LONG4, BINFLOAT
            b'K' => {
                let value = self.reader.byte()?;
                self.push(Node::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.reader.array()?);
                self.push(Node::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.reader.array()?);
                self.push(Node::Int(value.into()));
            }
            0x8a => {
                let len = self.reader.byte()?.into();
                self.long(len)?;
            }
            0x8b => {
                let len = self.reader.len4()?;
                self.long(len)?;
            }
            b'G' => self.opaque(8)?,
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c => {
                let len = self.reader.byte()?.into();
                self.text(len)?;
            }
            b'X' => {
                let len = self.reader.len4()?;
                self.text(len)?;
            }
            0x8d => {
                let len = self.reader.len8()?;
                self.text(len)?;
            }
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            b'C' => {
                let len = self.reader.byte()?.into();
                self.opaque(len)?;
            }
            b'B' => {
                let len = self.reader.len4()?;
                self.opaque(len)?;
            }
            0x8e | 0x96 => {
                let len = self.reader.len8()?;
                self.opaque(len)?;
            }
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.push(Node::Tuple(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.push(Node::Tuple(items));
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items));
            }
            // EMPTY_LIST, LIST, APPEND, APPENDS
            b']' => self.push(Node::List(Vec::new())),
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items));
            }
            b'a' => {
                let items = self.pop_many(1)?;
                self.append(items)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            // EMPTY_DICT, DICT, SETITEM, SETITEMS
            b'}' => self.push(Node::Dict(Vec::new())),
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(Vec::new()));
                self.set_items(&items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            // BINGET, LONG_BINGET, BINPUT, LONG_BINPUT, MEMOIZE
            b'h' => {
                let key = self.reader.byte()?.into();
                self.recall(key)?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.reader.array()?);
                self.recall(key)?;
            }
            b'q' => {
                let key = self.reader.byte()?.into();
                self.remember(key)?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.reader.array()?);
                self.remember(key)?;
            }
            0x94 => {
                let key = u32::try_from(self.memo.len())
                    .map_err(|_| self.malformed("the memo is too large"))?;
                self.remember(key)?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let module = self.reader.line()?;
                let name = self.reader.line()?;
                self.push(Node::Callable(resolve(module, name)?));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Text(module), Node::Text(name)) = (self.node(module), self.node(name))
                else {
                    return Err(self.malformed("a name to refer to is not text"));
                };
                let callable = resolve(module, name)?;
                self.push(Node::Callable(callable));
            }
            // NEWOBJ: no class is called, and only one that is passed over may stand here.
            0x81 => {
                let (_, class) = (self.pop()?, self.pop()?);
                match self.callable(class)? {
                    Callable::Namespace => self.push(Node::Ignored),
                    _ => return Err(self.malformed("an object is made of a class with none")),
                }
            }
            // REDUCE, BUILD, BINPERSID
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let value = self.call(callable, arguments)?;
                self.stack.push(value);
            }
            b'b' => {
                // Attributes of the dictionary, such as `_metadata`, or of an object that is
                // passed over: nothing that a tensor depends on.
                self.pop()?;
                if !matches!(self.node(self.top()?), Node::Dict(_) | Node::Ignored) {
                    return Err(self.malformed("state is set on something else than a dictionary"));
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Node::Storage(storage));
            }
            _ => {
                return Err(PickleProblem::UnknownInstruction { at: self.reader.at, opcode });
            }
        }
        Ok(())
    }

    pub(super) fn node(&self, id: NodeId) -> &Node<'a> {
        self.nodes.get(id.0).unwrap_or(&Node::Opaque)
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(node);
        id
    }

    pub(super) fn malformed(&self, what: &'static str) -> PickleProblem {
        self.reader.malformed(what)
    }

    fn push(&mut self, node: Node<'a>) {
        let id = self.add(node);
        self.stack.push(id);
    }

    /// The stack above the last open mark; what lies below it is out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<NodeId, PickleProblem> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => Err(self.malformed("a value is taken from an empty stack")),
        }
    }

    fn pop(&mut self) -> Result<NodeId, PickleProblem> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<NodeId>, PickleProblem> {
        match self.stack.len().checked_sub(count) {
            Some(height) if height >= self.floor() => Ok(self.stack.split_off(height)),
            _ => Err(self.malformed("values are taken from an empty stack")),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<NodeId>, PickleProblem> {
        match self.marks.pop() {
            // No instruction takes values from below the last mark.
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => Err(self.malformed("a mark is missing")),
        }
    }

    fn long(&mut self, len: usize) -> Result<(), PickleProblem> {
        let node = self.reader.long(len)?.map_or(Node::Opaque, Node::Int);
        self.push(node);
        Ok(())
    }

    fn text(&mut self, len: usize) -> Result<(), PickleProblem> {
        let text = self.reader.text(len)?;
        self.push(Node::Text(text));
        Ok(())
    }

    fn opaque(&mut self, len: usize) -> Result<(), PickleProblem> {
        self.reader.take(len)?;
        self.push(Node::Opaque);
        Ok(())
    }

    fn append(&mut self, items: Vec<NodeId>) -> Result<(), PickleProblem> {
        let list = self.top()?;
        match self.nodes.get_mut(list.0) {
            Some(Node::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.malformed("values are appended to something else than a list")),
        }
    }

    fn set_items(&mut self, items: &[NodeId]) -> Result<(), PickleProblem> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("a dictionary key has no value"));
        }
        let dict = self.top()?;
        match self.nodes.get_mut(dict.0) {
            Some(Node::Dict(dict)) => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(self.malformed("keys are set on something else than a dictionary")),
        }
    }

    fn recall(&mut self, key: u32) -> Result<(), PickleProblem> {
        match self.memo.get(&key) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => Err(self.malformed("a value is recalled that was never remembered")),
        }
    }

    fn remember(&mut self, key: u32) -> Result<(), PickleProblem> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    /// The callable at `id`.
    pub(super) fn callable(&self, id: NodeId) -> Result<Callable, PickleProblem> {
        match self.node(id) {
            Node::Callable(callable) => Ok(*callable),
            _ => Err(self.malformed("something else than a function is called")),
        }
    }
}
