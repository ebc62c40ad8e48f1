//! The parts of a node as `serde` visits them: items, entries, variants.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

use super::{Entry, Node, Place, decode::Decoder, join, keys::one_of};

#[derive(Debug)]
pub(super) struct DecodeError {
    pub place: Option<Place>,
    pub path: String,
    pub message: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { place: None, path: String::new(), message: message.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("the key `{field}` is missing"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("expected {}, found `{variant}`", one_of(expected)))
    }
}

pub(super) struct Items<'b, 'a, 'de> {
    pub decoder: &'b Decoder<'a, 'de>,
    pub items: &'b mut std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let child = self.decoder.child(node, format!("{}[{index}]", self.decoder.path));
        let (place, path) = (node.place.clone(), child.path.clone());
        seed.deserialize(child).map(Some).map_err(|error| placed_at(error, place, path))
    }
}

pub(super) struct Entries<'b, 'a, 'de> {
    pub decoder: &'b Decoder<'a, 'de>,
    pub rest: &'b mut std::vec::IntoIter<&'de Entry>,
    pub current: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        self.current = self.rest.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key = seed.deserialize(entry.key.as_str().into_deserializer());
        let path = join(&self.decoder.path, &entry.key);
        key.map(Some).map_err(|error| placed_at(error, entry.place.clone(), path))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some(entry) = self.current else {
            return Err(DecodeError::invalid_type(Unexpected::Map, &"a key before its value"));
        };
        let path = join(&self.decoder.path, &entry.key);
        // Newtypes and quantities fail in their own code, after the decoder of their text is gone.
        seed.deserialize(self.decoder.child(&entry.value, path.clone()))
            .map_err(|error| placed_at(error, entry.value.place.clone(), path))
    }
}

fn placed_at(error: DecodeError, place: Place, path: String) -> DecodeError {
    match error.place {
        Some(_) => error,
        None => DecodeError { place: Some(place), path, ..error },
    }
}

pub(super) struct Variant<'de>(pub &'de str);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = DecodeError;
    type Variant = UnitOnly;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, UnitOnly), DecodeError> {
        Ok((seed.deserialize(de::value::BorrowedStrDeserializer::new(self.0))?, UnitOnly))
    }
}

pub(super) struct UnitOnly;

impl<'de> VariantAccess<'de> for UnitOnly {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, DecodeError> {
        Err(DecodeError::custom("expected a word"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, DecodeError> {
        Err(DecodeError::custom("expected a word"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, DecodeError> {
        Err(DecodeError::custom("expected a word"))
    }
}
