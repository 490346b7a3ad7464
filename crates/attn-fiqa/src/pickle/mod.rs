//! Pickles read as data: nothing in them is run.
//!
//! A pickle is a program for a stack machine. [`run`] follows its instructions and keeps the
//! values in an arena, where they refer to each other by index, so that values which contain
//! themselves are harmless and nothing recurses. What else a pickle may hold is the
//! [`Vocabulary`] of the reader: which instructions beyond the common ones, which functions and
//! classes, and what plain data they make. Everything else is refused by name.
//!
//! Opcodes and operands are those of Python's `pickle` module, protocols 2 to 5.
//!
//! # Limits
//!
//! Every instruction makes at most one value and pushes at most one reference, so [`Limits`]
//! bounds memory as well as time.

mod machine;
mod reader;

pub use machine::run;

/// Index of a value in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(usize);

/// A value that a pickle made. `O` is what the [`Vocabulary`] adds.
#[derive(Debug)]
pub enum Value<'a, O> {
    /// `None`, or a value whose content nobody needs: a float, or an integer of more than 64 bits.
    Opaque,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// Bytes, or a string of Python 2, and where in the pickle they begin.
    Bytes {
        /// Index of the first byte in the pickle.
        start: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// The keys and values of a dictionary, in the order they were set. Keys may repeat.
    Dict(Vec<(Id, Id)>),
    /// A function, a class or what it made.
    Object(O),
}

/// The values of a pickle.
#[derive(Debug)]
pub struct Values<'a, O>(Vec<Value<'a, O>>);

impl<'a, O> Values<'a, O> {
    /// The value at an index.
    pub fn get(&self, id: Id) -> &Value<'a, O> {
        self.0.get(id.0).unwrap_or(&Value::Opaque)
    }

    fn get_mut(&mut self, id: Id) -> Option<&mut Value<'a, O>> {
        self.0.get_mut(id.0)
    }

    fn add(&mut self, value: Value<'a, O>) -> Id {
        let id = Id(self.0.len());
        self.0.push(value);
        id
    }
}

/// What one kind of pickle may hold besides numbers, texts, bytes, tuples and lists.
///
/// Errors say in a few words what is wrong; [`run`] adds where.
pub trait Vocabulary<'a> {
    /// The functions and classes that may be named, and what they make.
    type Object;

    /// Opcodes that are permitted beyond the common ones.
    const OPCODES: &'static [u8];

    /// The function or class of a name; `None` if the pickle must not refer to it.
    fn global(&mut self, module: &str, name: &str) -> Option<Self::Object>;

    /// The value of `callable(*arguments)`.
    ///
    /// # Errors
    ///
    /// When `callable` is not called like that.
    fn call(
        &mut self,
        values: &Values<'a, Self::Object>,
        callable: &Self::Object,
        arguments: &[Id],
    ) -> Result<Returned<'a, Self::Object>, &'static str>;

    /// What setting the state of a value, as `__setstate__` does, makes of it; `None` if it
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// When the value has no state, or none like this.
    fn set_state(
        &mut self,
        values: &Values<'a, Self::Object>,
        value: Id,
        state: Id,
    ) -> Result<Option<Self::Object>, &'static str>;

    /// An object of a class that is never called.
    ///
    /// # Errors
    ///
    /// When the class makes none; always, unless [`Self::OPCODES`] permits `NEWOBJ`.
    fn new_object(&mut self, _class: &Self::Object) -> Result<Self::Object, &'static str> {
        Err("an object is made of a class that makes none")
    }

    /// The object that a persistent id stands for.
    ///
    /// # Errors
    ///
    /// When there is none; always, unless [`Self::OPCODES`] permits `BINPERSID`.
    fn persistent(
        &mut self,
        _values: &Values<'a, Self::Object>,
        _id: Id,
    ) -> Result<Self::Object, &'static str> {
        Err("a persistent id stands for no object")
    }
}

/// What a call returns.
#[derive(Debug)]
pub enum Returned<'a, O> {
    /// A new value.
    New(Value<'a, O>),
    /// One of the values that are there, such as an argument.
    Existing(Id),
}

/// How much of a pickle is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the whole pickle.
    pub bytes: usize,
    /// Most instructions.
    pub instructions: usize,
    /// Most bytes in the name of a module, a function or a class.
    pub name: usize,
}

/// Why a pickle was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal<'a> {
    /// It refers to a function or class that the vocabulary does not have.
    ForbiddenGlobal {
        /// The module, from the file as it is.
        module: &'a str,
        /// The function or class, from the file as it is.
        name: &'a str,
    },
    /// It does something that makes no sense.
    Malformed {
        /// Position of the instruction.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It is written in another protocol than 2 to 5.
    UnknownProtocol {
        /// The protocol that it declares.
        found: u8,
    },
    /// It has an instruction that the vocabulary does not permit.
    UnknownInstruction {
        /// Position of the instruction.
        at: usize,
        /// Its opcode.
        opcode: u8,
    },
    /// It ends in the middle of a value.
    Truncated {
        /// Position of the last instruction.
        at: usize,
    },
    /// It exceeds one of the [`Limits`].
    TooLarge {
        /// The limit.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
}
