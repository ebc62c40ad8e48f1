//! Tree to typed value: a `serde` deserializer that reports every unknown key and the place of
//! the first type error.

use std::cell::RefCell;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor},
};

use super::{
    Node, Problem, Value,
    access::{DecodeError, Entries, Items, Variant},
    join,
    keys::unknown_key,
};

/// Decodes a node, `path` being its name in messages.
///
/// Structs ignore unknown keys here; they are reported all at once, beside the first type error.
///
/// # Errors
/// Every unknown key below the node, and the first type error if there is one.
pub fn decode<'de, T: Deserialize<'de>>(node: &'de Node, path: &str) -> Result<T, Vec<Problem>> {
    let unknown = RefCell::new(Vec::new());
    let decoded = T::deserialize(Decoder { node, path: path.to_owned(), unknown: &unknown });
    let mut problems = unknown.into_inner();
    match decoded {
        Ok(value) if problems.is_empty() => Ok(value),
        Ok(_) => Err(problems),
        Err(error) => {
            let place = error.place.unwrap_or_else(|| node.place.clone());
            problems.push(Problem::at(&place, error.path, error.message));
            Err(problems)
        }
    }
}

pub(super) struct Decoder<'a, 'de> {
    node: &'de Node,
    pub path: String,
    unknown: &'a RefCell<Vec<Problem>>,
}

impl<'a, 'de> Decoder<'a, 'de> {
    pub(super) fn child(&self, node: &'de Node, path: String) -> Decoder<'a, 'de> {
        Decoder { node, path, unknown: self.unknown }
    }

    /// Gives an error that came from within a visitor the place of this node.
    fn placed<T>(&self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| match error.place {
            Some(_) => error,
            None => DecodeError {
                place: Some(self.node.place.clone()),
                path: self.path.clone(),
                ..error
            },
        })
    }

    fn expected<T>(&self, what: &str) -> Result<T, DecodeError> {
        let message = format!("expected {what}, found {}", self.node.describe());
        self.placed(Err(DecodeError::custom(message)))
    }

    /// Where more than a text was expected, the text may be a secret in the wrong form, such as
    /// `user:password`, and is not shown.
    fn expected_more<T>(&self, what: &str) -> Result<T, DecodeError> {
        let message = format!("expected {what}, found {}", self.node.form());
        self.placed(Err(DecodeError::custom(message)))
    }

    fn text(&self) -> Result<&'de str, DecodeError> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() => Ok(text),
            _ => self.expected("a text"),
        }
    }

    fn parsed<T: std::str::FromStr>(&self, what: &str) -> Result<T, DecodeError> {
        match &self.node.value {
            Value::Scalar { text, .. } => text.trim().parse().or_else(|_| self.expected(what)),
            _ => self.expected(what),
        }
    }

    fn report_unknown_keys(&self, known: &'static [&'static str]) {
        for entry in self.node.entries().unwrap_or_default() {
            if !known.contains(&entry.key.as_str()) {
                let message = unknown_key(&entry.key, known);
                let problem = Problem::at(&entry.place, join(&self.path, &entry.key), message);
                self.unknown.borrow_mut().push(problem);
            }
        }
    }

    fn visit_entries<V: Visitor<'de>>(
        self,
        visitor: V,
        known: Option<&'static [&'static str]>,
    ) -> Result<V::Value, DecodeError> {
        let Some(entries) = self.node.entries() else {
            return self.expected_more("a mapping");
        };
        let keep = |key: &str| known.is_none_or(|known| known.contains(&key));
        let entries = entries.iter().filter(|entry| keep(&entry.key)).collect::<Vec<_>>();
        let mut entries = entries.into_iter();
        let access = Entries { decoder: &self, rest: &mut entries, current: None };
        let result = visitor.visit_map(access);
        self.placed(result)
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let number: $type = self.parsed($what)?;
            let result = visitor.$visit(number);
            self.placed(result)
        })*
    };
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let result = match &self.node.value {
            Value::Mapping(_) => return self.visit_entries(visitor, None),
            Value::Sequence(_) => return self.deserialize_seq(visitor),
            Value::Scalar { .. } if self.node.is_null() => visitor.visit_unit(),
            Value::Scalar { text, plain: false } => visitor.visit_borrowed_str(text),
            Value::Scalar { text, .. } => match text.as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                text => {
                    let (whole, number) = (text.parse::<i64>(), text.parse::<f64>());
                    match (whole, number) {
                        (Ok(whole), _) => visitor.visit_i64(whole),
                        (_, Ok(number)) => visitor.visit_f64(number),
                        _ => visitor.visit_borrowed_str(text),
                    }
                }
            },
        };
        self.placed(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let value = self.parsed("true or false")?;
        visitor.visit_bool(value)
    }

    numbers! {
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number that is not negative";
        deserialize_u64 visit_u64 u64, "a whole number that is not negative";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let text = self.text()?;
        self.placed(visitor.visit_borrowed_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() { visitor.visit_unit() } else { self.expected("nothing") }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let Value::Sequence(items) = &self.node.value else {
            return self.expected_more("a list");
        };
        let mut items = items.iter().enumerate();
        let result = visitor.visit_seq(Items { decoder: &self, items: &mut items });
        self.placed(result)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.visit_entries(visitor, None)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.report_unknown_keys(fields);
        self.visit_entries(visitor, Some(fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let variant = self.text()?;
        let result = visitor.visit_enum(Variant(variant));
        self.placed(result)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}
