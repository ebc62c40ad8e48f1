//! The keys that a struct knows, and what to say of others.

use serde::{
    Deserialize, Deserializer,
    de::{self, Error as _, Visitor},
};

/// What to say of a key that is none of those known.
pub fn unknown_key(key: &str, known: &[&str]) -> String {
    const ALIKE: f64 = 0.85;
    let likeness = |name: &&str| strsim::jaro_winkler(key, name);
    let nearest = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match nearest.filter(|name| likeness(name) >= ALIKE) {
        Some(name) => format!("unknown key, did you mean `{name}`?"),
        None => format!("unknown key, expected {}", one_of(known)),
    }
}

/// The keys of a struct, as its `Deserialize` knows them.
pub fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // Asking for a struct is all that is wanted; there is nothing to make it of.
    let _ = T::deserialize(Fields(&mut found));
    found
}

struct Fields<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::value::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(de::value::Error::custom("only its keys"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    if let [name] = quoted.as_slice() {
        name.clone()
    } else {
        format!("one of {}", quoted.join(", "))
    }
}
