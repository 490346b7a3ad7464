//! Reads pickles as data: nothing in them is executed.
//!
//! A pickle is a program for a stack machine. [`run`] follows its instructions and keeps the values
//! in an arena, where they refer to each other by index, so cyclic values are harmless and nothing
//! recurses. What else a pickle may contain is defined by the reader's [`Vocabulary`]: which
//! additional instructions, which functions and classes, and which plain data they produce.
//! Everything else is refused by name.
//!
//! Opcodes and operands are those of Python's `pickle` module, protocols 2 to 5.
//!
//! # Limits
//!
//! Every instruction creates at most one value and pushes at most one reference, so [`Limits`]
//! bounds memory as well as time.

mod machine;
mod reader;

pub use machine::run;

/// Index of a value in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(usize);

/// A value created by a pickle. `O` is what the [`Vocabulary`] adds.
#[derive(Debug)]
pub enum Value<'a, O> {
    /// `None`, or a value whose content is not needed: a float, or an integer of more than 64 bits.
    Opaque,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(&'a str),
    /// Bytes, or a Python 2 string, and their position in the pickle.
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
    /// Keys and values of a dictionary, in insertion order. Keys may repeat.
    Dict(Vec<(Id, Id)>),
    /// A function, a class or what it created.
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

/// What one kind of pickle may contain besides numbers, strings, bytes, tuples and lists.
///
/// Errors state in a few words what is wrong; [`run`] adds the position.
pub trait Vocabulary<'a> {
    /// Functions and classes that may be referred to, and what they create.
    type Object;

    /// Opcodes permitted in addition to the common ones.
    const OPCODES: &'static [u8];

    /// The function or class of this name; `None` if the pickle must not refer to it.
    fn global(&mut self, module: &str, name: &str) -> Option<Self::Object>;

    /// The value of `callable(*arguments)`.
    ///
    /// # Errors
    ///
    /// If `callable` does not accept these arguments.
    fn call(
        &mut self,
        values: &Values<'a, Self::Object>,
        callable: &Self::Object,
        arguments: &[Id],
    ) -> Result<Returned<'a, Self::Object>, &'static str>;

    /// The value after setting its state, as `__setstate__` does; `None` if it is unchanged.
    ///
    /// # Errors
    ///
    /// If the value has no state, or not of this kind.
    fn set_state(
        &mut self,
        values: &Values<'a, Self::Object>,
        value: Id,
        state: Id,
    ) -> Result<Option<Self::Object>, &'static str>;

    /// An instance of a class, created without a call.
    ///
    /// # Errors
    ///
    /// If the class does not allow it; always, unless [`Self::OPCODES`] permits `NEWOBJ`.
    fn new_object(&mut self, _class: &Self::Object) -> Result<Self::Object, &'static str> {
        Err("an object is made from a class that has no instances")
    }

    /// The object that a persistent id refers to.
    ///
    /// # Errors
    ///
    /// If there is no such object; always, unless [`Self::OPCODES`] permits `BINPERSID`.
    fn persistent(
        &mut self,
        _values: &Values<'a, Self::Object>,
        _id: Id,
    ) -> Result<Self::Object, &'static str> {
        Err("a persistent id refers to no object")
    }
}

/// What a call returns.
#[derive(Debug)]
pub enum Returned<'a, O> {
    /// A new value.
    New(Value<'a, O>),
    /// An existing value, such as an argument.
    Existing(Id),
}

/// Limits on a pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum bytes of the whole pickle.
    pub bytes: usize,
    /// Maximum number of instructions.
    pub instructions: usize,
    /// Maximum bytes in the name of a module, function or class.
    pub name: usize,
}

/// Why a pickle was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal<'a> {
    /// It refers to a function or class that the vocabulary does not have.
    ForbiddenGlobal {
        /// The module, verbatim from the file.
        module: &'a str,
        /// The function or class, verbatim from the file.
        name: &'a str,
    },
    /// An instruction is invalid.
    Malformed {
        /// Position of the instruction.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It uses a protocol other than 2 to 5.
    UnknownProtocol {
        /// The declared protocol.
        found: u8,
    },
    /// It contains an instruction that the vocabulary does not permit.
    UnknownInstruction {
        /// Position of the instruction.
        at: usize,
        /// Its opcode.
        opcode: u8,
    },
    /// It ends inside a value.
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
