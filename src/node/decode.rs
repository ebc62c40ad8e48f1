//! Tree to typed value: a `serde` deserializer that reports every unknown key and the place of
//! the first type error.

use std::{cell::RefCell, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
        Unexpected, VariantAccess, Visitor,
    },
};

use super::{Node, Place, Problem, Value, join};

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

#[derive(Debug)]
struct DecodeError {
    place: Option<Place>,
    path: String,
    message: String,
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

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    if let [name] = quoted.as_slice() {
        name.clone()
    } else {
        format!("one of {}", quoted.join(", "))
    }
}

struct Decoder<'a, 'de> {
    node: &'de Node,
    path: String,
    unknown: &'a RefCell<Vec<Problem>>,
}

impl<'a, 'de> Decoder<'a, 'de> {
    fn child(&self, node: &'de Node, path: String) -> Decoder<'a, 'de> {
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
            return self.expected("a mapping");
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
            return self.expected("a list");
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

struct Items<'b, 'a, 'de> {
    decoder: &'b Decoder<'a, 'de>,
    items: &'b mut std::iter::Enumerate<std::slice::Iter<'de, Node>>,
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

struct Entries<'b, 'a, 'de> {
    decoder: &'b Decoder<'a, 'de>,
    rest: &'b mut std::vec::IntoIter<&'de super::Entry>,
    current: Option<&'de super::Entry>,
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

struct Variant<'de>(&'de str);

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

struct UnitOnly;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        node::parse,
        units::{Period, Ratio},
    };
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Section {
        url: String,
        timeout: Option<Period>,
        #[serde(default)]
        ratio: Option<Ratio>,
        #[serde(default)]
        labels: BTreeMap<String, String>,
        #[serde(default)]
        ports: Vec<u16>,
        #[serde(default)]
        mode: Mode,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        #[default]
        Fast,
        Slow,
    }

    fn section(text: &str) -> Result<Section, Vec<String>> {
        let node = parse(text, "f.yml").unwrap();
        decode(&node, "http").map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn texts_take_the_type_that_is_asked_for() {
        let section = section(
            "url: 1.10\ntimeout: 5s\nratio: 80%\nlabels: {a: true}\nports: ['80', 443]\nmode: slow\n",
        )
        .unwrap();
        assert_eq!(section.url, "1.10");
        assert_eq!(section.labels["a"], "true");
        assert_eq!(section.ports, [80, 443]);
        assert_eq!(section.mode, Mode::Slow);
    }

    #[test]
    fn null_is_no_value() {
        assert!(section("url: x\ntimeout: ~\n").unwrap().timeout.is_none());
        assert!(section("url: x\ntimeout:\n").unwrap().timeout.is_none());
    }

    #[test]
    fn every_unknown_key_is_reported_beside_the_first_type_error() {
        assert_eq!(
            section("address: x\ntimeout: 5x\nprts: 1\n").unwrap_err(),
            [
                "f.yml:1:1: http.address: unknown key, expected one of `url`, `timeout`, `ratio`, \
                 `labels`, `ports`, `mode`",
                "f.yml:3:1: http.prts: unknown key, did you mean `ports`?",
                "f.yml:2:10: http.timeout: expected a duration such as 15s, 1m30s or 800ms, \
                 found `5x`",
            ]
        );
    }

    #[test]
    fn type_errors_say_where_and_what_was_expected() {
        for (text, message) in [
            ("{}", "f.yml:1:1: http: the key `url` is missing"),
            ("url: [a]", "f.yml:1:6: http.url: expected a text, found a list"),
            ("url:", "f.yml:1:4: http.url: expected a text, found nothing"),
            ("url: x\nports: 80", "f.yml:2:8: http.ports: expected a list, found `80`"),
            (
                "url: x\nports: [1, 99999]",
                "f.yml:2:12: http.ports[1]: expected a whole number from 0 to 65535, found `99999`",
            ),
            (
                "url: x\nratio: 80",
                "f.yml:2:8: http.ratio: expected a share from 0 to 1 or 0% to 100%, found `80`",
            ),
            (
                "url: x\nmode: medium",
                "f.yml:2:7: http.mode: expected one of `fast`, `slow`, found `medium`",
            ),
        ] {
            assert_eq!(section(text).unwrap_err(), [message], "{text}");
        }
    }
}
