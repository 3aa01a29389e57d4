//! JSON: parses text into a tree of values, and writes a tree as text.
//!
//! serde_json parses the text; the nodes are our own, because C needs NUL-terminated strings, members in order, and values that do not move
//! while others are added.
//!
//! ```
//! use hasty::json::Value;
//!
//! let order = Value::parse(br#"{"items": [{"price": 250}]}"#)?;
//! assert_eq!(order.find("/items/0/price").unwrap().as_int()?, 250);
//! # Ok::<(), hasty::Error>(())
//! ```

use crate::error::{self, Error, Result};
use serde_core::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

/// The most arrays and objects that may be nested in a text, since the parser recurses. Trees built by the program have no such limit; nothing
/// else here recurses.
pub const MAX_DEPTH: usize = 128;

/// Objects with more members than this are searched through an index.
const UNINDEXED: usize = 8;

/// From 2^53 on, several integers may round to the same double.
const ROUNDED: f64 = (1_u64 << 53) as f64;

/// The kind of a value. The numbers are those of `HASTY_JSON_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// `null`
    Null = 0,
    /// `true` or `false`
    Bool = 1,
    /// A number, whole or not.
    Number = 2,
    /// A string.
    String = 3,
    /// An array.
    Array = 4,
    /// An object.
    Object = 5,
}

/// One JSON value with everything below it.
pub struct Value {
    repr: Repr,
    /// Is it part of an array, an object or a request? Then it may not become part of another.
    held: bool,
}

enum Repr {
    Null,
    Bool(bool),
    Int(i64),
    /// Only what `Int` cannot hold.
    Uint(u64),
    /// Always finite.
    Double(f64),
    String(Text),
    Array(Box<Items<Slot>>),
    Object(Box<Object>),
}

/// UTF-8 with a NUL after it.
#[derive(Clone)]
struct Text(Box<str>);

impl Text {
    fn new(text: &str) -> Text {
        let mut terminated = String::with_capacity(text.len() + 1);
        terminated.push_str(text);
        terminated.push('\0');
        Text(terminated.into_boxed_str())
    }

    fn as_str(&self) -> &str {
        &self.0[..self.0.len() - 1]
    }
}

/// How a value is stored in its array or object.
enum Slot {
    /// Created here, by parsing or cloning; there is no pointer to it yet.
    Here(Value),
    /// Passed by the program, which may go on filling it through its own pointer: therefore not a `Box`, which requires unique access. There is
    /// never a second `Arc`.
    There(Arc<Value>),
}

impl Slot {
    fn get(&self) -> &Value {
        match self {
            Slot::Here(value) => value,
            Slot::There(value) => value,
        }
    }
}

/// A list that does not move its values while it grows.
struct Items<T> {
    /// Grows only while the list is parsed or cloned: holds the values themselves.
    first: Vec<T>,
    /// Grows later: holds only pointers to values.
    more: Vec<T>,
}

impl<T> Items<T> {
    const fn new() -> Items<T> {
        Items { first: Vec::new(), more: Vec::new() }
    }

    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    fn get(&self, index: usize) -> Option<&T> {
        self.first.get(index).or_else(|| self.more.get(index.checked_sub(self.first.len())?))
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let before = self.first.len();
        if index < before { self.first.get_mut(index) } else { self.more.get_mut(index - before) }
    }

    fn pop(&mut self) -> Option<T> {
        self.more.pop().or_else(|| self.first.pop())
    }
}

struct Member {
    key: Text,
    slot: Slot,
}

impl Member {
    fn is(&self, key: &str) -> bool {
        #[cfg(test)]
        tests::COMPARED.set(tests::COMPARED.get() + 1);
        self.key.as_str() == key
    }
}

/// Members in the order in which their keys first came.
struct Object {
    members: Items<Member>,
    /// Present beyond `UNINDEXED` members.
    index: Option<Box<Index>>,
}

impl Object {
    const fn new() -> Object {
        Object { members: Items::new(), index: None }
    }

    fn position(&self, key: &str) -> Option<usize> {
        let is = |at: usize| self.members.get(at).is_some_and(|member| member.is(key));
        match &self.index {
            Some(index) => index.position(key, is),
            None => (0..self.members.len()).find(|&at| is(at)),
        }
    }

    /// Replaces the slot of an earlier `key`; a new one is added last.
    fn put(&mut self, key: Text, slot: Slot) {
        if let Some(member) = self.position(key.as_str()).and_then(|at| self.members.get_mut(at)) {
            member.slot = slot;
            return;
        }
        let at = self.members.len();
        match &mut self.index {
            Some(index) if index.has_room_for(at + 1) => index.add(key.as_str(), at),
            _ if at < UNINDEXED => {}
            _ => {
                let mut index = Index::with_room_for(at + 1);
                for (at, member) in self.members.first.iter().chain(&self.members.more).enumerate() {
                    index.add(member.key.as_str(), at);
                }
                index.add(key.as_str(), at);
                self.index = Some(Box::new(index));
            }
        }
        let list = if matches!(slot, Slot::Here(_)) { &mut self.members.first } else { &mut self.members.more };
        list.push(Member { key, slot });
    }
}

/// Finds members by key: an open-addressing hash table of their positions. Keys come from clients, so each table has a secret of its own.
/// Members are never removed, so neither are entries.
struct Index {
    secret: RandomState,
    /// Its length is a power of two; at most half of it is used.
    places: Vec<usize>,
}

const FREE: usize = usize::MAX;

impl Index {
    fn with_room_for(members: usize) -> Index {
        Index { secret: RandomState::new(), places: vec![FREE; (members * 4).next_power_of_two()] }
    }

    fn has_room_for(&self, members: usize) -> bool {
        members * 2 <= self.places.len()
    }

    /// The positions where `key` may be, the most likely first, without end.
    fn walk(&self, key: &str) -> impl Iterator<Item = usize> + use<> {
        let mask = self.places.len() - 1;
        // Only its low bits are needed.
        let start = self.secret.hash_one(key) as usize;
        (0..).map(move |step: usize| start.wrapping_add(step) & mask)
    }

    fn position(&self, key: &str, is: impl Fn(usize) -> bool) -> Option<usize> {
        let near = self.walk(key).map(|place| self.places[place]);
        near.take_while(|&at| at != FREE).find(|&at| is(at))
    }

    fn add(&mut self, key: &str, at: usize) {
        if let Some(place) = self.walk(key).find(|&place| self.places[place] == FREE) {
            self.places[place] = at;
        }
    }
}

impl From<Repr> for Value {
    fn from(repr: Repr) -> Value {
        Value { repr, held: false }
    }
}

/// Making values.
impl Value {
    /// Reads one value and nothing after it. Of members with the same key the last one's value counts, in
    /// the place of the first. At most [`MAX_DEPTH`] arrays and objects may be open at once.
    ///
    /// Whole numbers from -2^63 to 2^64-1 are exact, others become the nearest double.
    pub fn parse(text: &[u8]) -> Result<Value> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        // Ours counts instead: serde_json's limit ends one level earlier.
        reader.disable_recursion_limit();
        let read = Reader { depth: 0 }.deserialize(&mut reader).and_then(|mut value| {
            reader.end()?;
            value.held = false;
            Ok(value)
        });
        read.map_err(|error| Error::late(error::Kind::Invalid, Malformed(error)))
    }

    /// `null`
    pub fn null() -> Value {
        Repr::Null.into()
    }

    /// `true` or `false`
    pub fn bool(value: bool) -> Value {
        Repr::Bool(value).into()
    }

    /// A whole number.
    pub fn int(value: i64) -> Value {
        Repr::Int(value).into()
    }

    /// A number; JSON has no NaN and no infinity, so these are refused.
    pub fn double(value: f64) -> Result<Value> {
        // Named here, since what writes any such number is code that nothing else needs.
        let name = match value {
            value if value.is_finite() => return Ok(Repr::Double(value).into()),
            value if value.is_nan() => "NaN",
            value if value > 0.0 => "inf",
            _ => "-inf",
        };
        Err(Error::invalid(format!("JSON has no number {name}")))
    }

    /// A string; it may hold NUL.
    pub fn string(value: &str) -> Value {
        Repr::String(Text::new(value)).into()
    }

    /// An empty array.
    pub fn array() -> Value {
        Repr::Array(Box::new(Items::new())).into()
    }

    /// An empty object.
    pub fn object() -> Value {
        Repr::Object(Box::new(Object::new())).into()
    }

    /// The same value, owned by something else than C: C can read and clone it, but not give it away.
    pub(crate) fn lent(mut self) -> Value {
        self.held = true;
        self
    }
}

/// Reading values.
impl Value {
    /// What this value is.
    pub fn kind(&self) -> Kind {
        match self.repr {
            Repr::Null => Kind::Null,
            Repr::Bool(_) => Kind::Bool,
            Repr::Int(_) | Repr::Uint(_) | Repr::Double(_) => Kind::Number,
            Repr::String(_) => Kind::String,
            Repr::Array(_) => Kind::Array,
            Repr::Object(_) => Kind::Object,
        }
    }

    /// How many items or members there are; 0 for everything that has none.
    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Array(items) => items.len(),
            Repr::Object(object) => object.members.len(),
            _ => 0,
        }
    }

    /// Whether there is neither an item nor a member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of the member called `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Repr::Object(object) = &self.repr else { return None };
        Some(object.members.get(object.position(key)?)?.slot.get())
    }

    /// The item, or the member's value, at `index`.
    pub fn at(&self, index: usize) -> Option<&Value> {
        Some(self.child(index)?.1)
    }

    /// The key of the member at `index`.
    pub fn key_at(&self, index: usize) -> Option<&str> {
        Some(self.child(index)?.0?.as_str())
    }

    /// The same, including the NUL after it.
    pub(crate) fn key_at_terminated(&self, index: usize) -> Option<&[u8]> {
        Some(self.child(index)?.0?.0.as_bytes())
    }

    fn child(&self, index: usize) -> Option<(Option<&Text>, &Value)> {
        match &self.repr {
            Repr::Array(items) => Some((None, items.get(index)?.get())),
            Repr::Object(object) => object.members.get(index).map(|member| (Some(&member.key), member.slot.get())),
            _ => None,
        }
    }

    /// The value that a JSON Pointer (RFC 6901) leads to: "" is this one, "/a/0" the first item of member "a".
    pub fn find(&self, pointer: &str) -> Option<&Value> {
        let mut steps = pointer.split('/');
        // RFC 6901 3: each token is prefixed by "/", so nothing comes before the first.
        if steps.next() != Some("") {
            return None;
        }
        steps.try_fold(self, |value, step| match value.kind() {
            Kind::Array => value.at(array_index(step)?),
            Kind::Object if step.contains('~') => value.get(&unescape(step)?),
            _ => value.get(step),
        })
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Repr::String(text) = &self.repr { Some(text.as_str()) } else { None }
    }

    /// The same, including the NUL after it.
    pub(crate) fn as_str_terminated(&self) -> Option<&[u8]> {
        if let Repr::String(text) = &self.repr { Some(text.0.as_bytes()) } else { None }
    }

    /// A whole number of 64 bits with a sign: 3, 3.0 and 3e0 are whole, 1.5 is not. With a point or an
    /// exponent, or beyond 64 bits, it was read as a double, and counts only below 2^53: larger ones may
    /// have been rounded.
    pub fn as_int(&self) -> Result<i64> {
        let refused = |number: Repr| Err(Error::late(error::Kind::Invalid, NotInt(number.into())));
        match self.repr {
            Repr::Int(value) => Ok(value),
            Repr::Uint(value) => refused(Repr::Uint(value)),
            Repr::Double(value) if value.fract() == 0.0 && value.abs() < ROUNDED => Ok(value as i64),
            Repr::Double(value) => refused(Repr::Double(value)),
            _ => Err(self.is_not("a number")),
        }
    }

    /// The double nearest to a number.
    pub fn as_double(&self) -> Result<f64> {
        match self.repr {
            Repr::Int(value) => Ok(value as f64),
            Repr::Uint(value) => Ok(value as f64),
            Repr::Double(value) => Ok(value),
            _ => Err(self.is_not("a number")),
        }
    }

    /// `true` or `false`.
    pub fn as_bool(&self) -> Result<bool> {
        if let Repr::Bool(value) = self.repr { Ok(value) } else { Err(self.is_not("true or false")) }
    }

    fn is_not(&self, wanted: &'static str) -> Error {
        Error::late(error::Kind::Invalid, Mismatch { found: self.kind(), wanted })
    }

    /// This value as JSON, without white space.
    pub fn to_text(&self) -> String {
        let mut text = Vec::new();
        self.write_to(&mut text);
        String::from_utf8(text).expect("strings are UTF-8, and the rest is ASCII")
    }

    /// Appends this value as JSON, without white space.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for step in Walk::through(self) {
            let Step::Enter { key, value, comma } = step else {
                out.push(if matches!(step, Step::Leave(Kind::Array)) { b']' } else { b'}' });
                continue;
            };
            if comma {
                out.push(b',');
            }
            if let Some(key) = key {
                append(out, key.as_str());
                out.push(b':');
            }
            match &value.repr {
                Repr::Null => out.extend_from_slice(b"null"),
                Repr::Bool(value) => append(out, value),
                Repr::Int(value) => append(out, value),
                Repr::Uint(value) => append(out, value),
                Repr::Double(value) => append(out, value),
                Repr::String(text) => append(out, text.as_str()),
                Repr::Array(_) => out.push(b'['),
                Repr::Object(_) => out.push(b'{'),
            }
        }
    }
}

/// serde_json knows the escapes, and the shortest digits that read back as the same double.
fn append<T: serde_core::Serialize + ?Sized>(out: &mut Vec<u8>, leaf: &T) {
    serde_json::to_writer(out, leaf).expect("a Vec takes every byte, and a leaf is always JSON");
}

// RFC 6901 4: "0", or digits without a leading zero. "-", the item after the last, is never there.
fn array_index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with(['0', '+']);
    if plain { step.parse().ok() } else { None }
}

// RFC 6901 3: "~0" stands for "~" and "~1" for "/"; "~" stands nowhere else.
fn unescape(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut key = parts.next()?.to_owned();
    for part in parts {
        key.push(if part.starts_with('0') { '~' } else { '/' });
        key.push_str(part.strip_prefix(['0', '1'])?);
    }
    Some(key)
}

/// Changing values.
impl Value {
    /// Makes `value` the member `key` of this object: in the place of an earlier one, which is freed, else last.
    pub fn set(&mut self, key: &str, value: Value) -> Result<()> {
        self.set_shared(key, Arc::new(value))
    }

    /// Makes `value` the last item of this array.
    pub fn push(&mut self, value: Value) -> Result<()> {
        self.push_shared(Arc::new(value))
    }

    /// `set` for a value to which C keeps a pointer. `value` must be the only `Arc`, neither held nor an ancestor of this object.
    pub(crate) fn set_shared(&mut self, key: &str, value: Arc<Value>) -> Result<()> {
        let Repr::Object(object) = &mut self.repr else { return Err(self.is_not("an object")) };
        object.put(Text::new(key), hold(value));
        Ok(())
    }

    /// `push` for a value to which C keeps a pointer. `value` must be the only `Arc`, neither held nor an ancestor of this array.
    pub(crate) fn push_shared(&mut self, value: Arc<Value>) -> Result<()> {
        let Repr::Array(items) = &mut self.repr else { return Err(self.is_not("an array")) };
        items.more.push(hold(value));
        Ok(())
    }

    /// May this value become part of `parent`? Not if it is held, or if `parent` is part of it.
    pub(crate) fn may_enter(&self, parent: &Value) -> Result<()> {
        if self.held {
            return Err(Error::fixed(error::Kind::Invalid, "the JSON value is already part of another, or of a request; clone it"));
        }
        // A value that is not held is its own root, so the search is needed only for parents deep in a tree.
        let inside = if parent.held { self.contains(parent) } else { std::ptr::eq(self, parent) };
        if inside { Err(Error::fixed(error::Kind::Invalid, "a JSON value cannot become part of itself")) } else { Ok(()) }
    }

    fn contains(&self, part: &Value) -> bool {
        Walk::through(self).any(|step| matches!(step, Step::Enter { value, .. } if std::ptr::eq(value, part)))
    }

    /// Is this value part of another, which frees it?
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Appends to an array or object that is still being built.
    fn append(&mut self, key: Option<Text>, mut value: Value) {
        value.held = true;
        match (&mut self.repr, key) {
            (Repr::Array(items), _) => items.first.push(Slot::Here(value)),
            (Repr::Object(object), Some(key)) => object.put(key, Slot::Here(value)),
            _ => unreachable!("only arrays and objects are made bit by bit"),
        }
    }

    /// Frees spare capacity, since small arrays are many.
    fn completed(mut self) -> Value {
        match &mut self.repr {
            Repr::Array(items) => items.first.shrink_to_fit(),
            Repr::Object(object) => object.members.first.shrink_to_fit(),
            _ => {}
        }
        self
    }
}

fn hold(mut value: Arc<Value>) -> Slot {
    if let Some(value) = Arc::get_mut(&mut value) {
        value.held = true;
    }
    Slot::There(value)
}

/// A deep copy, which is not held.
impl Clone for Value {
    fn clone(&self) -> Value {
        let mut open: Vec<(Option<Text>, Value)> = Vec::new();
        for step in Walk::through(self) {
            let (key, value) = match step {
                Step::Enter { key, value, .. } => {
                    let (container, copy) = match &value.repr {
                        Repr::Null => (false, Value::null()),
                        Repr::Bool(value) => (false, Value::bool(*value)),
                        Repr::Int(value) => (false, Value::int(*value)),
                        Repr::Uint(value) => (false, Repr::Uint(*value).into()),
                        Repr::Double(value) => (false, Repr::Double(*value).into()),
                        Repr::String(text) => (false, Repr::String(text.clone()).into()),
                        Repr::Array(_) => (true, Value::array()),
                        Repr::Object(_) => (true, Value::object()),
                    };
                    if container {
                        open.push((key.cloned(), copy));
                        continue;
                    }
                    (key.cloned(), copy)
                }
                Step::Leave(_) => {
                    let (key, value) = open.pop().expect("what is left was entered");
                    (key, value.completed())
                }
            };
            match open.last_mut() {
                Some((_, parent)) => parent.append(key, value),
                None => return value,
            }
        }
        unreachable!("a walk ends by leaving its root")
    }
}

/// Frees iteratively: the compiler's own drop recurses, and a program may build trees of any depth.
impl Drop for Value {
    fn drop(&mut self) {
        if self.is_empty() {
            return;
        }
        let mut open = vec![std::mem::replace(&mut self.repr, Repr::Null)];
        while let Some(last) = open.last_mut() {
            let slot = match last {
                Repr::Array(items) => items.pop(),
                Repr::Object(object) => object.members.pop().map(|member| member.slot),
                _ => None,
            };
            let value = match slot {
                Some(Slot::Here(value)) => Some(value),
                Some(Slot::There(value)) => Arc::into_inner(value),
                None => {
                    open.pop();
                    None
                }
            };
            if let Some(mut value) = value.filter(|value| !value.is_empty()) {
                open.push(std::mem::replace(&mut value.repr, Repr::Null));
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// Traverses a tree in the order of its text, with an explicit stack.
struct Walk<'a> {
    root: Option<&'a Value>,
    /// Entered and not yet left, each with the index of its next child.
    open: Vec<(&'a Value, usize)>,
}

enum Step<'a> {
    /// A value; if it is an array or object, its children and a `Leave` follow.
    Enter { key: Option<&'a Text>, value: &'a Value, comma: bool },
    /// The end of an array or object.
    Leave(Kind),
}

impl<'a> Walk<'a> {
    fn through(root: &'a Value) -> Walk<'a> {
        Walk { root: Some(root), open: Vec::new() }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let (key, value, comma) = match self.root.take() {
            Some(root) => (None, root, false),
            None => {
                let (parent, index) = self.open.last_mut()?;
                let parent = *parent;
                let Some((key, value)) = parent.child(*index) else {
                    self.open.pop();
                    return Some(Step::Leave(parent.kind()));
                };
                *index += 1;
                (key, value, *index > 1)
            }
        };
        if matches!(value.kind(), Kind::Array | Kind::Object) {
            self.open.push((value, 0));
        }
        Some(Step::Enter { key, value, comma })
    }
}

/// Builds nodes from what serde_json parses, inside `depth` open arrays and objects.
#[derive(Clone, Copy)]
struct Reader {
    depth: usize,
}

impl Reader {
    fn deeper<E: serde_core::de::Error>(self) -> std::result::Result<Reader, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("more than {MAX_DEPTH} arrays and objects inside one another")));
        }
        Ok(Reader { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: serde_core::Deserializer<'de>>(self, from: D) -> std::result::Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::null())
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::int(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(i64::try_from(value).map_or(Repr::Uint(value), Repr::Int).into())
    }

    fn visit_f64<E: serde_core::de::Error>(self, value: f64) -> std::result::Result<Value, E> {
        Value::double(value).map_err(E::custom)
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::string(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Value::array();
        while let Some(item) = items.next_element_seed(inner)? {
            array.append(None, item);
        }
        Ok(array.completed())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Value::object();
        while let Some(key) = members.next_key_seed(KeyReader)? {
            let value = members.next_value_seed(inner)?;
            object.append(Some(key), value);
        }
        Ok(object.completed())
    }
}

struct KeyReader;

impl<'de> DeserializeSeed<'de> for KeyReader {
    type Value = Text;

    fn deserialize<D: serde_core::Deserializer<'de>>(self, from: D) -> std::result::Result<Text, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyReader {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> std::result::Result<Text, E> {
        Ok(Text::new(key))
    }
}

/// The message for a malformed text.
struct Malformed(serde_json::Error);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Malformed(error) = self;
        let words = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        let words = words.strip_suffix(&position).unwrap_or(&words);
        let verdict = if error.is_data() { "refused" } else { "malformed" };
        // An end right after a line feed has no byte to count yet.
        write!(f, "JSON is {verdict} at line {}, column {}: {words}", error.line(), error.column().max(1))
    }
}

struct NotInt(Value);

impl fmt::Display for NotInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotInt(number) = self;
        match number.repr {
            Repr::Double(value) if value.abs() >= ROUNDED => {
                write!(
                    f,
                    "{number:?} is a rounded number: whole ones are exact from {} to {}, without point and exponent",
                    i64::MIN,
                    i64::MAX
                )
            }
            _ => write!(f, "{number:?} is not a whole number from {} to {}", i64::MIN, i64::MAX),
        }
    }
}

struct Mismatch {
    found: Kind,
    wanted: &'static str,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = match self.found {
            Kind::Null => "null",
            Kind::Bool => "true or false",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        };
        write!(f, "the JSON value is {found}, not {}", self.wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// How many keys were compared.
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    fn parse(text: &str) -> Value {
        Value::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    fn refusal(text: impl AsRef<[u8]>) -> String {
        let text = text.as_ref();
        let error = Value::parse(text).err().unwrap_or_else(|| panic!("{} was accepted", error::Shown(text)));
        assert_eq!(error.kind(), error::Kind::Invalid);
        error.to_string()
    }

    fn same(text: &str) {
        assert_eq!(parse(text).to_text(), text);
    }

    #[test]
    fn every_kind_is_recognised() {
        for (text, kind) in [
            ("null", Kind::Null),
            ("true", Kind::Bool),
            ("false", Kind::Bool),
            ("0", Kind::Number),
            ("-1.5e3", Kind::Number),
            ("\"\"", Kind::String),
            ("[]", Kind::Array),
            ("{}", Kind::Object),
        ] {
            assert_eq!(parse(text).kind(), kind, "{text}");
        }
    }

    #[test]
    fn what_the_grammar_allows_is_accepted() {
        for (text, compact) in [
            (" \t\r\n[ 1 ,\n2 ] \t\r\n", "[1,2]"),
            ("{ \"a\" : { } }", "{\"a\":{}}"),
            ("{\"\":0}", "{\"\":0}"),
            ("[[],[[]],{}]", "[[],[[]],{}]"),
            ("[null,true,false]", "[null,true,false]"),
            ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""),
            ("\"\\u0041\\u00e9\\u00E9\"", "\"Aéé\""),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
            ("\"\\u0000\"", "\"\\u0000\""),
            ("\"\\u007f\u{7f}\"", "\"\u{7f}\u{7f}\""),
            ("\"\\u2028\u{2028}\u{feff}\\uffff\"", "\"\u{2028}\u{2028}\u{feff}\u{ffff}\""),
            ("[-0]", "[-0.0]"),
            ("[0e+1]", "[0.0]"),
            ("[0E-1]", "[0.0]"),
            ("[1E2]", "[100.0]"),
            ("[1e-2]", "[0.01]"),
            ("[-0.1]", "[-0.1]"),
            ("[1e-400]", "[0.0]"),
        ] {
            assert_eq!(parse(text).to_text(), compact, "{text}");
        }
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
        for text in [
            "",
            " ",
            "\n",
            "nul",
            "nulls",
            "True",
            "NaN",
            "Infinity",
            "-Infinity",
            "undefined",
            "'a'",
            "a",
            "*",
            "<>",
            // Numbers.
            "01",
            "-01",
            "+1",
            "-",
            "- 1",
            "1.",
            ".5",
            "-.5",
            "1e",
            "1e+",
            "1.e1",
            "1.5e",
            "0x1",
            "1_000",
            "1,000",
            "0e",
            "1e400",
            "-1e400",
            "１",
            // Strings.
            "\"",
            "\"a",
            "\"a\\\"",
            "\"\\\"",
            "\"\\a\"",
            "\"\\x41\"",
            "\"\\u\"",
            "\"\\u12\"",
            "\"\\u123g\"",
            "\"\\U0041\"",
            "\"\n\"",
            "\"\t\"",
            "\"\0\"",
            "\"\x1f\"",
            "\\u0022\\u0022",
            // Arrays.
            "[",
            "]",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[,]",
            "[1 2]",
            "[1,,2]",
            "[1:2]",
            "[1}",
            "[]]",
            "[\"a\"",
            "[1]x",
            // Objects.
            "{",
            "}",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\",1}",
            "{\"a\"::1}",
            "{a:1}",
            "{1:1}",
            "{null:1}",
            "{'a':1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1]",
            "{\"a\":1}}",
            "{[]:1}",
            "{\"a\":1}#",
            // Around the value.
            "1 2",
            "[] []",
            "{}{}",
            "null,",
            "// c\n1",
            "1 // c",
            "/* c */ 1",
            "\u{feff}1",
            "1\0",
            "\u{a0}1",
            "\x0c1",
            "\x0b1",
        ] {
            refusal(text);
        }
    }

    #[test]
    fn lone_surrogates_are_refused() {
        for text in
            ["\\ud800", "\\udc00", "\\udfff", "\\ud800\\ud800", "\\ud800x", "\\ud800\\n", "\\ud83d\\u0041", "\\ude00\\ud83d", "a\\uD8"]
        {
            refusal(format!("\"{text}\""));
            refusal(format!("{{\"{text}\":1}}"));
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let cases: [&[u8]; 9] = [
            b"\xff",
            b"\xc0\x80",
            b"\xe2\x82",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\x80",
            b"\xc3\x28",
            b"\xf8\x88\x80\x80\x80",
            b"\xe9",
        ];
        for bytes in cases {
            refusal([b"\"", bytes, b"\""].concat());
            refusal([b"{\"", bytes, b"\":1}"].concat());
            refusal(bytes);
        }
        refusal(b"\xff\xfe[\0]\0");
    }

    #[test]
    fn a_refusal_names_line_and_column() {
        for (text, words) in [
            ("", "JSON is malformed at line 1, column 1: EOF while parsing a value"),
            ("{\n  \"a\" 1}", "JSON is malformed at line 2, column 7: expected `:`"),
            ("[1,\n", "JSON is malformed at line 2, column 1: EOF while parsing a value"),
            ("[1,]", "JSON is malformed at line 1, column 4: trailing comma"),
            ("[1] 2", "JSON is malformed at line 1, column 5: trailing characters"),
        ] {
            assert_eq!(refusal(text), words, "{text:?}");
        }
    }

    #[test]
    fn every_beginning_of_a_text_is_refused() {
        let text = "{\"a\":[1,-2.5e3,\"x\\u00e9\\ud83d\\ude00é\",true,null],\"b\":{\"c\":{}}}";
        parse(text);
        for end in 0..text.len() {
            refusal(&text.as_bytes()[..end]);
        }
    }

    #[test]
    fn any_single_wrong_byte_is_refused_or_read_but_never_panics() {
        let text = b"{\"a\":[1,-2.5e3,\"x\\u00e9\",true,null],\"b\":{}}";
        for at in 0..text.len() {
            for byte in 0..=255 {
                let mut text = text.to_vec();
                text[at] = byte;
                if let Ok(value) = Value::parse(&text) {
                    assert_eq!(parse(&value.to_text()).to_text(), value.to_text());
                }
            }
        }
    }

    #[test]
    fn text_goes_through_unchanged() {
        for text in [
            "null",
            "[0,-1,9223372036854775807,-9223372036854775808,18446744073709551615]",
            "[0.1,1.5,-2.5e-7,5e-324,2.2250738585072014e-308,123456.789]",
            "{\"z\":1,\"a\":{\"y\":[],\"b\":\"é😀\\u0001\\\"\\\\\"},\"m\":[{},{\"k\":null}]}",
        ] {
            same(text);
        }
    }

    #[test]
    fn the_nearest_double_is_read_and_written() {
        // Each is known to come out one step off where digits are added up in floating point.
        for text in
            ["0.3", "8.41e21", "9007199254740993.0", "1.2345678901234567e22", "5.0e-324", "2.4703282292062328e-324", "31.245270191439438"]
        {
            let read = parse(text);
            assert_eq!(read.as_double().unwrap(), text.parse::<f64>().unwrap(), "{text}");
            assert_eq!(parse(&read.to_text()).as_double().unwrap(), read.as_double().unwrap(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_ints_however_written() {
        for (text, value) in [
            ("3", 3),
            ("3.0", 3),
            ("1e3", 1000),
            ("-0", 0),
            ("-0.0", 0),
            ("1.5e1", 15),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("9007199254740991.0", 9007199254740991),
        ] {
            assert_eq!(parse(text).as_int().unwrap(), value, "{text}");
        }
    }

    #[test]
    fn other_numbers_are_not_ints() {
        for text in
            ["1.5", "1e-1", "9223372036854775808", "18446744073709551615", "-9223372036854775809", "1e300", "9.223372036854775808e18"]
        {
            let error = parse(text).as_int().unwrap_err();
            assert_eq!(error.kind(), error::Kind::Invalid, "{text}");
        }
        let words = parse("1.5").as_int().unwrap_err().to_string();
        assert_eq!(words, "1.5 is not a whole number from -9223372036854775808 to 9223372036854775807");
        assert!(parse("-9223372036854775809").as_int().unwrap_err().to_string().contains("rounded"));
    }

    #[test]
    fn every_number_is_a_double() {
        for (text, value) in [("3", 3.0), ("1.5", 1.5), ("18446744073709551615", 18446744073709551615.0), ("-1e300", -1e300)] {
            assert_eq!(parse(text).as_double().unwrap(), value, "{text}");
        }
    }

    #[test]
    fn a_value_of_another_kind_is_not_converted() {
        for text in ["null", "true", "\"1\"", "[1]", "{}"] {
            assert!(parse(text).as_int().is_err(), "{text}");
            assert!(parse(text).as_double().is_err(), "{text}");
        }
        for text in ["null", "0", "1", "\"true\"", "[true]"] {
            assert!(parse(text).as_bool().is_err(), "{text}");
            assert_eq!(parse(text).as_str().is_some(), text.starts_with('"'), "{text}");
        }
        assert_eq!(parse("\"1\"").as_int().unwrap_err().to_string(), "the JSON value is a string, not a number");
    }

    #[test]
    fn numbers_that_json_lacks_are_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Value::double(value).unwrap_err().kind(), error::Kind::Invalid);
        }
        assert_eq!(Value::double(3.0).unwrap().to_text(), "3.0");
    }

    #[test]
    fn strings_end_with_a_nul_and_may_hold_one() {
        let value = parse("{\"a\\u0000b\":\"c\\u0000d\"}");
        assert_eq!(value.key_at_terminated(0), Some(&b"a\0b\0"[..]));
        assert_eq!(value.at(0).unwrap().as_str_terminated(), Some(&b"c\0d\0"[..]));
        assert_eq!(value.get("a\0b").unwrap().as_str(), Some("c\0d"));
        assert_eq!(Value::string("").as_str_terminated(), Some(&b"\0"[..]));
    }

    #[test]
    fn members_keep_their_order() {
        let value = parse("{\"z\":1,\"a\":2,\"m\":3}");
        let keys: Vec<_> = (0..value.len()).filter_map(|at| value.key_at(at)).collect();
        assert_eq!(keys, ["z", "a", "m"]);
        assert_eq!(value.at(1).unwrap().as_int().unwrap(), 2);
        assert!(value.at(3).is_none() && value.key_at(3).is_none());
    }

    #[test]
    fn the_last_duplicate_wins_in_the_place_of_the_first() {
        assert_eq!(parse("{\"a\":1,\"b\":2,\"a\":[3],\"\\u0061\":4}").to_text(), "{\"a\":4,\"b\":2}");
        let many: Vec<_> = (0..100).map(|at| format!("\"{}\":{at}", at % 20)).collect();
        let value = parse(&format!("{{{}}}", many.join(",")));
        assert_eq!(value.len(), 20);
        for at in 0..20 {
            assert_eq!(value.key_at(at).unwrap(), at.to_string());
            assert_eq!(value.at(at).unwrap().as_int().unwrap(), 80 + at as i64);
        }
    }

    #[test]
    fn a_pointer_finds_what_rfc_6901_says() {
        // The example of RFC 6901 5, without the keys of which it has two of a kind.
        let value = parse(
            r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"k\"l":6," ":7,"m~n":8,"~1":9,"o":{"":{"x":10}},"01":11,"list":[0,1,2,3,4,5,6,7,8,9,10]}"#,
        );
        for (pointer, found) in [
            ("/foo", "[\"bar\",\"baz\"]"),
            ("/foo/0", "\"bar\""),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
            ("/~01", "9"),
            ("/o//x", "10"),
            ("/01", "11"),
            ("/list/10", "10"),
        ] {
            assert_eq!(value.find(pointer).unwrap_or_else(|| panic!("{pointer}")).to_text(), found, "{pointer}");
        }
        assert!(std::ptr::eq(value.find("").unwrap(), &value));
    }

    #[test]
    fn a_pointer_that_leads_nowhere_or_is_malformed_finds_nothing() {
        let value = parse(r#"{"foo":["bar"],"a~b":1,"a/b":2,"n":3,"a~2":4,"a~":5}"#);
        for pointer in [
            "foo",
            "#/foo",
            " ",
            "/bar",
            "/foo/",
            "/foo/1",
            "/foo/00",
            "/foo/+0",
            "/foo/-0",
            "/foo/-",
            "/foo/0x0",
            "/foo/0/0",
            "/foo/ 0",
            "/foo/99999999999999999999",
            "/foo/bar",
            "/n/",
            "/a~b",
            "/a~2",
            "/a~",
            "/a/b",
            "/foo/0~",
            "//foo",
        ] {
            assert!(value.find(pointer).is_none(), "{pointer}");
        }
    }

    #[test]
    fn trees_are_built_in_order() {
        let mut value = Value::object();
        value.set("b", Value::null()).unwrap();
        value.set("a", Value::bool(true)).unwrap();
        value.set("b", Value::array()).unwrap();
        assert_eq!(value.to_text(), "{\"b\":[],\"a\":true}");
        let mut list = Value::array();
        list.push(Value::int(-1)).unwrap();
        list.push(Value::string("x\"\n")).unwrap();
        list.push(value).unwrap();
        assert_eq!(list.to_text(), "[-1,\"x\\\"\\n\",{\"b\":[],\"a\":true}]");
    }

    #[test]
    fn what_was_parsed_can_be_changed() {
        let mut value = parse("{\"a\":1,\"b\":2}");
        value.set("c", Value::int(3)).unwrap();
        value.set("a", Value::int(4)).unwrap();
        value.set("c", Value::int(5)).unwrap();
        assert_eq!(value.to_text(), "{\"a\":4,\"b\":2,\"c\":5}");
        for at in 0..20 {
            value.set(&format!("k{at}"), Value::int(at)).unwrap();
        }
        assert_eq!((value.len(), value.get("k19").unwrap().as_int().unwrap(), value.get("a").unwrap().as_int().unwrap()), (23, 19, 4));
    }

    #[test]
    fn only_objects_have_members_and_only_arrays_have_items() {
        for text in ["null", "1", "\"a\"", "[]"] {
            assert_eq!(parse(text).set("a", Value::null()).unwrap_err().kind(), error::Kind::Invalid, "{text}");
            assert!(parse(text).get("a").is_none());
        }
        for text in ["null", "1", "\"a\"", "{}"] {
            assert_eq!(parse(text).push(Value::null()).unwrap_err().kind(), error::Kind::Invalid, "{text}");
        }
        assert_eq!(parse("\"abc\"").len(), 0);
    }

    #[test]
    fn values_stay_where_they_are_while_others_come() {
        let mut list = parse("[0,1,2]");
        let mut object = parse("{\"a\":0}");
        let places = |value: &Value| (0..value.len()).map(|at| std::ptr::from_ref(value.at(at).unwrap()).addr()).collect::<Vec<_>>();
        let before = (places(&list), places(&object));
        for at in 0..1000 {
            list.push(Value::int(at)).unwrap();
            object.set(&at.to_string(), Value::int(at)).unwrap();
        }
        assert!(places(&list).starts_with(&before.0) && places(&object).starts_with(&before.1));
        let before = places(&list);
        list.push(Value::null()).unwrap();
        assert!(places(&list).starts_with(&before));
    }

    #[test]
    fn a_value_becomes_part_of_one_other_only() {
        let invalid = |value: &Value, parent: &Value| value.may_enter(parent).is_err_and(|error| error.kind() == error::Kind::Invalid);
        let tree = parse("{\"a\":{\"b\":[]}}");
        let other = Value::array();
        let deep = tree.find("/a/b").unwrap();
        assert!(tree.may_enter(&other).is_ok());
        assert!(invalid(deep, &other), "it has a parent");
        assert!(invalid(&tree, &tree), "it is the parent");
        assert!(invalid(&tree, deep), "the parent is part of it");
        assert!(invalid(&Value::null().lent(), &other), "a request keeps it");
        assert!(deep.clone().may_enter(deep).is_ok(), "a copy is free");
        assert!(tree.clone().lent().clone().may_enter(&other).is_ok(), "a copy is free");
        assert!(other.may_enter(deep).is_ok());
    }

    #[test]
    fn a_copy_is_equal_and_apart() {
        let text = format!("{{\"a\":[1,18446744073709551615,0.5,\"x\\u0000\",true,null,{{}},[]],{}}}", members(20));
        let mut original = parse(&text);
        original.set("b", parse("[[1]]")).unwrap();
        let copy = original.clone();
        assert_eq!(copy.to_text(), original.to_text());
        original.set("b", Value::null()).unwrap();
        assert_eq!(copy.find("/b/0/0").unwrap().as_int().unwrap(), 1);
        assert_eq!(copy.get("k19").unwrap().as_int().unwrap(), 19);
    }

    #[test]
    fn depth_is_limited_to_128() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth| [open.repeat(depth), "1".into(), close.repeat(depth)].concat();
            same(&nested(128));
            assert!(refusal(nested(129)).contains("more than 128"));
            assert!(refusal(open.repeat(1_000_000)).contains("more than 128"));
        }
        let words = refusal("[".repeat(129));
        assert_eq!(words, "JSON is refused at line 1, column 129: more than 128 arrays and objects inside one another");
    }

    #[test]
    fn reading_needs_little_stack() {
        let text = [r#"{"a":["#.repeat(64), "]}".repeat(64)].concat();
        let read = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || same(&text)).unwrap();
        read.join().unwrap();
    }

    #[test]
    fn trees_of_any_depth_are_written_copied_and_freed() {
        const DEPTH: usize = 300_000;
        let mut tree = Value::array();
        for at in 0..DEPTH {
            let mut outer = if at % 2 == 0 { Value::object() } else { Value::array() };
            if at % 2 == 0 { outer.set("a", tree) } else { outer.push(tree) }.unwrap();
            tree = outer;
        }
        let copy = tree.clone();
        let text = copy.to_text();
        assert!(text == tree.to_text() && text.len() == DEPTH * 4 + 2);
        assert!(tree.may_enter(&Value::array()).is_ok());
    }

    /// `"k0":0,"k1":1` and so on.
    fn members(count: usize) -> String {
        (0..count).map(|at| format!("\"k{at}\":{at}")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn big_objects_take_linear_time() {
        const COUNT: usize = 5_000;
        let text = format!("{{{0},{0}}}", members(COUNT));
        COMPARED.set(0);
        let mut value = parse(&text);
        let copy = value.clone();
        for at in 0..COUNT {
            assert_eq!(copy.get(&format!("k{at}")).unwrap().as_int().unwrap(), at as i64);
            assert!(copy.get(&format!("x{at}")).is_none());
            value.set(&format!("y{at}"), Value::null()).unwrap();
        }
        assert_eq!((value.len(), copy.len()), (2 * COUNT, COUNT));
        // Six look-ups of each key: reading twice, copying, two gets, one set. A list would compare 10^8 times.
        let compared = COMPARED.get();
        assert!((2 * COUNT..12 * COUNT).contains(&compared), "{compared} comparisons for {COUNT} members");
    }

    #[test]
    fn a_node_takes_32_bytes() {
        assert_eq!((size_of::<Value>(), size_of::<Slot>()), (32, 32));
    }

    #[test]
    fn values_may_move_between_threads() {
        fn check<T: Send + Sync>() {}
        check::<Value>();
    }
}
