//! The JSON Schema of the configuration, for editors.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{
    sections::TopLevel,
    settings::{CheckSettings, Identity},
};
use crate::check::Kind;

/// The JSON Schema (draft 2020-12) of a configuration file with these kinds.
pub fn schema(kinds: &[Kind]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = generator.root_schema_for::<TopLevel>();
    let check = check_schema(&mut generator, kinds);
    let definitions = Value::Object(generator.take_definitions(true));
    if let Some(root) = root.as_object_mut() {
        root.insert("title".into(), json!("health-exporter configuration"));
        root.insert("patternProperties".into(), json!({ "^x-": true }));
        if let Some(properties) = root.get_mut("properties") {
            properties["checks"] = json!({
                "description": "What is watched.",
                "type": ["array", "null"],
                "items": check,
            });
        }
        if let Some(Value::Object(known)) = root.get_mut("$defs")
            && let Value::Object(definitions) = definitions
        {
            known.extend(definitions);
        }
    }
    root.to_value()
}

/// A check: the common keys and exactly one kind.
fn check_schema(generator: &mut SchemaGenerator, kinds: &[Kind]) -> Value {
    let mut properties = serde_json::Map::new();
    for part in [Identity::schema(generator), CheckSettings::schema(generator)] {
        if let Some(Value::Object(own)) = part.get("properties") {
            properties.extend(own.clone());
        }
    }
    let configurable = kinds.iter().filter_map(|kind| Some((kind.name, kind.configuration?)));
    let mut one_of = Vec::new();
    for (name, configuration) in configurable {
        let params = (configuration.schema)(generator).to_value();
        properties.insert(name.to_owned(), json!({ "anyOf": [params, { "type": "null" }] }));
        one_of.push(json!({ "required": [name] }));
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "required": ["name"],
        "oneOf": one_of,
    })
}

/// The schema of a struct itself rather than a reference to it.
trait InlineSchema: schemars::JsonSchema {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Self::json_schema(generator)
    }
}

impl InlineSchema for Identity {}
impl InlineSchema for CheckSettings {}
