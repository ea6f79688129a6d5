//! An ONNX file: a message of protobuf, walked field by field as it comes, down to each tensor, none of which may lie in
//! another file. Owns which fields lead further down; what the others hold is passed over.

use super::Refused;

/// The deepest nesting; graphs stand within the attributes of nodes.
const DEEPEST: usize = 64;

/// A kind of message whose fields are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Training,
    Function,
}

impl Message {
    /// The message that a field holds.
    const fn within(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            _ => return None,
        })
    }
}

/// What is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A field's number and how its value is written.
    Tag,
    /// The value of a field that is a number.
    Number(u64),
    /// The length of a field's value.
    Length(u64),
}

/// A walk through a file.
#[derive(Debug)]
pub(super) struct Walk {
    /// The messages that are open, and where each ends; the file itself ends with its last byte.
    open: Vec<(Message, u64)>,
    at: u64,
    skip: u64,
    next: Next,
    number: Number,
    has_version: bool,
    has_graph: bool,
    /// Writers put it behind the graph, so a file without it was cut.
    has_opset: bool,
}

/// A number that is written seven bits a byte, the lowest first.
#[derive(Debug, Default)]
struct Number {
    value: u64,
    bits: u32,
}

impl Number {
    fn take(&mut self, byte: u8) -> Result<Option<u64>, Refused> {
        if self.bits >= 64 || (self.bits == 63 && byte > 1) {
            return Err(broken("a number in it does not end"));
        }
        self.value |= u64::from(byte & 0x7f) << self.bits;
        self.bits += 7;
        if byte & 0x80 != 0 {
            return Ok(None);
        }
        Ok(Some(std::mem::take(self).value))
    }
}

fn broken(why: &str) -> Refused {
    Refused::new(format!("it begins like ONNX, and is none: {why}"))
}

impl Walk {
    pub(super) fn new() -> Self {
        Self {
            open: vec![(Message::Model, u64::MAX)],
            at: 0,
            skip: 0,
            next: Next::Tag,
            number: Number::default(),
            has_version: false,
            has_graph: false,
            has_opset: false,
        }
    }

    /// Walks on.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), Refused> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.skip > 0 {
                let over = usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
                bytes = &bytes[over..];
                self.skip -= over as u64;
                self.at += over as u64;
            } else {
                bytes = rest;
                self.at += 1;
                if let Some(number) = self.number.take(byte)? {
                    self.meet(number)?;
                }
            }
            if self.skip == 0 {
                self.close()?;
            }
        }
        Ok(())
    }

    /// Whether the file may end here.
    pub(super) fn end(&self) -> Result<(), Refused> {
        if self.open.len() > 1 || self.skip > 0 || self.next != Next::Tag || self.number.bits > 0 {
            return Err(Refused::new("it ends within a field of an ONNX file: send all of it"));
        }
        if self.has_version && self.has_graph && self.has_opset {
            return Ok(());
        }
        Err(broken("`ir_version`, `graph` or `opset_import` is missing"))
    }

    fn meet(&mut self, number: u64) -> Result<(), Refused> {
        let (message, end) = self.top();
        let field = number >> 3;
        match self.next {
            Next::Tag => {
                if message == Message::Model {
                    check(field, number & 7)?;
                }
                self.next = match number & 7 {
                    _ if field == 0 => return Err(broken("a field in it has no number")),
                    0 => Next::Number(field),
                    2 => Next::Length(field),
                    1 => return self.pass(8, end),
                    5 => return self.pass(4, end),
                    _ => return Err(broken("a field in it is written as none of ONNX's are")),
                };
            }
            Next::Number(field) => {
                self.next = Next::Tag;
                if message == Message::Tensor && field == 14 && number != 0 {
                    return Err(elsewhere());
                }
                self.has_version |= message == Message::Model && field == 1;
            }
            Next::Length(field) => {
                self.next = Next::Tag;
                if message == Message::Tensor && field == 13 {
                    return Err(elsewhere());
                }
                self.has_opset |= message == Message::Model && field == 8;
                let Some(inner) = message.within(field) else { return self.pass(number, end) };
                if inner == Message::Graph && message == Message::Model && std::mem::replace(&mut self.has_graph, true)
                {
                    return Err(broken("it has two graphs"));
                }
                if self.open.len() == DEEPEST {
                    return Err(broken("its graphs stand too deep within each other"));
                }
                self.open.push((inner, self.within(number, end)?));
            }
        }
        Ok(())
    }

    /// Passes over so many bytes.
    fn pass(&mut self, count: u64, end: u64) -> Result<(), Refused> {
        self.within(count, end)?;
        (self.skip, self.next) = (count, Next::Tag);
        Ok(())
    }

    /// Where so many bytes more end, within a message that ends at `end`.
    fn within(&self, count: u64, end: u64) -> Result<u64, Refused> {
        self.at
            .checked_add(count)
            .filter(|to| *to <= end && *to < i64::MAX as u64)
            .ok_or_else(|| broken("a field in it is longer than the message that it stands in"))
    }

    /// Closes the messages that end here.
    fn close(&mut self) -> Result<(), Refused> {
        while self.open.len() > 1 && self.top().1 <= self.at {
            if self.top().1 < self.at || self.next != Next::Tag || self.number.bits > 0 {
                return Err(broken("a field in it is longer than the message that it stands in"));
            }
            self.open.pop();
        }
        Ok(())
    }

    fn top(&self) -> (Message, u64) {
        self.open.last().copied().unwrap_or((Message::Model, u64::MAX))
    }
}

/// Whether the file itself has such a field: here alone unknown ones are refused, since anything could be appended as one.
fn check(field: u64, written: u64) -> Result<(), Refused> {
    let expected = match field {
        1 | 5 => 0,
        2..=4 | 6..=8 | 14 | 20 | 25 | 26 => 2,
        _ => return Err(broken("it has a field that ONNX does not have")),
    };
    if written == expected { Ok(()) } else { Err(broken("a field in it is written as none of ONNX's are")) }
}

fn elsewhere() -> Refused {
    Refused::new("its tensors lie in another file: save the model with its weights in one file")
}
