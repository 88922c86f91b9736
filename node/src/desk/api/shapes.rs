//! The shapes of answers: what stands in them, for whoever writes a program.
//!
//! A shape is a table, as a route is. Where a type of the node's own is answered as it stands, its description is derived from it
//! ([`Is::Written`]), so that field and word cannot part. No shape forbids further fields: answers gain some with time. That every
//! field of today is described, `--test answers` tries at a node.

mod act;
mod article;
mod call;
mod figures;
mod file;
mod queue;
mod reference;
mod replica;
mod ticket;

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};

pub(super) use act::{ACTED, CHOICES, MADE, NOTED};
pub(super) use article::{ARTICLE, ARTICLES, SAID};
pub(super) use call::{EVENT, RECORDING, ROUTE};
pub(super) use figures::{FIGURES, SCORECARD, VOLUME};
pub(super) use file::{FILE, FILES};
pub(super) use queue::{CHANGES, LIKELY, PAGE};
pub(super) use reference::{CATEGORIES, CENTRES, FIELDS, REDIRECTS};
pub(super) use replica::STATUS;
pub(super) use ticket::{HISTORY, REVEALED, SHOWN};

/// Schemas by their names in the description.
pub(super) type Schemas = BTreeMap<String, RefOr<Schema>>;

/// A kind of object.
#[derive(Debug)]
pub(super) struct Shape {
    /// Its name in the description.
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    /// It holds all that this one does.
    pub(super) like: Option<&'static Shape>,
    pub(super) holds: &'static [Field],
}

/// What an object holds under a name.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    is: Is,
    always: bool,
    says: &'static str,
}

/// A field that is always there.
pub(super) const fn field(name: &'static str, is: Is, says: &'static str) -> Field {
    Field { name, is, always: true, says }
}

/// A field that is there sometimes.
pub(super) const fn maybe(name: &'static str, is: Is, says: &'static str) -> Field {
    Field { name, is, always: false, says }
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Is {
    Text,
    Truth,
    /// A whole number, nought or more.
    Count,
    /// A whole number.
    Whole,
    Number,
    /// RFC 3339, in China's time.
    Moment,
    /// RFC 3339 as its author's node wrote it, which nobody checked; empty when it wrote none.
    Claimed,
    /// As in `2026-11-02`.
    Day,
    /// A site, by its code.
    Site,
    /// A node, by its site and a letter if it is not the only one.
    Node,
    /// 64 hexadecimal digits: the id of a ticket, an article or an entry, or a state.
    Hash,
    /// One of these words.
    OneOf(fn() -> Vec<&'static str>),
    A(&'static Shape),
    /// A type of the node's own: see [`written`].
    Written(fn(&mut Schemas) -> Ref),
    Many(&'static Is),
    /// An object of these, by names that no table knows.
    ByName(&'static Is),
    OrNull(&'static Is),
    Either(&'static [Is]),
    Anything,
}

/// Puts a type's own description among the schemas, with all that it refers to.
pub(super) fn written<T: ToSchema>(all: &mut Schemas) -> Ref {
    let mut found = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    found.into_iter().for_each(|(name, schema)| put(all, &name, schema));
    Ref::from_schema_name(T::name())
}

/// Puts a schema under its name; what has come before under it must have been the same.
fn put(all: &mut Schemas, name: &str, schema: RefOr<Schema>) {
    let other = all.insert(name.to_owned(), schema.clone()).is_some_and(|before| before != schema);
    assert!(!other, "two shapes are called {name}");
}

impl Shape {
    /// All that it holds, and before it what it is like.
    fn fields(&self) -> Vec<&'static Field> {
        let mut fields = self.like.map(Shape::fields).unwrap_or_default();
        fields.extend(self.holds);
        fields
    }

    fn schema(&self, all: &mut Schemas) -> RefOr<Schema> {
        let mut object = ObjectBuilder::new().schema_type(Type::Object).description(Some(self.says));
        for field in self.fields() {
            object = object.property(field.name, described(field.is.schema(all), field.says));
            if field.always {
                object = object.required(field.name);
            }
        }
        object.into()
    }
}

impl Is {
    /// Its schema; objects stand among all of them, and are referred to.
    pub(super) fn schema(self, all: &mut Schemas) -> RefOr<Schema> {
        let plain = |kind| ObjectBuilder::new().schema_type(SchemaType::new(kind));
        let text = || plain(Type::String);
        let format = |format| text().format(Some(SchemaFormat::KnownFormat(format)));
        match self {
            Is::Text => text().into(),
            Is::Truth => plain(Type::Boolean).into(),
            Is::Count => plain(Type::Integer).minimum(Some(0)).into(),
            Is::Whole => plain(Type::Integer).into(),
            Is::Number => plain(Type::Number).into(),
            Is::Moment => format(KnownFormat::DateTime).into(),
            Is::Claimed => text().examples(["2026-11-02T09:15:00+08:00"]).into(),
            Is::Day => format(KnownFormat::Date).into(),
            Is::Site => text().examples(["370100"]).into(),
            Is::Node => text().examples(["370100", "370100-b"]).into(),
            Is::Hash => text().pattern(Some("^[0-9a-f]{64}$")).into(),
            Is::OneOf(words) => text().enum_values(Some(words())).into(),
            Is::A(shape) => {
                let schema = shape.schema(all);
                put(all, shape.name, schema);
                Ref::from_schema_name(shape.name).into()
            }
            Is::Written(written) => written(all).into(),
            Is::Many(one) => ArrayBuilder::new().items(one.schema(all)).into(),
            Is::ByName(one) => plain(Type::Object).additional_properties(Some(one.schema(all))).into(),
            Is::OrNull(one) => or_null(one.schema(all)),
            Is::Either(ways) => {
                ways.iter().fold(OneOfBuilder::new(), |either, is| either.item(is.schema(all))).into()
            }
            Is::Anything => ObjectBuilder::new().schema_type(SchemaType::AnyValue).into(),
        }
    }
}

fn or_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) if object.enum_values.is_none() => {
            if let SchemaType::Type(kind) = object.schema_type {
                object.schema_type = SchemaType::from_iter([kind, Type::Null]);
            }
            object.into()
        }
        schema => OneOfBuilder::new().item(ObjectBuilder::new().schema_type(Type::Null)).item(schema).into(),
    }
}

/// The schema, with what it means at this place.
fn described(schema: RefOr<Schema>, says: &str) -> RefOr<Schema> {
    let mut schema = match schema {
        RefOr::Ref(mut to) => {
            says.clone_into(&mut to.description);
            return to.into();
        }
        RefOr::T(schema) => schema,
    };
    match &mut schema {
        Schema::Object(object) => object.description = Some(says.to_owned()),
        Schema::Array(array) => array.description = Some(says.to_owned()),
        Schema::OneOf(one) => one.description = Some(says.to_owned()),
        _ => {}
    }
    schema.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INNER: Shape =
        Shape { name: "Inner", says: "x", like: None, holds: &[field("n", Is::Count, "so many")] };
    const MIDDLE: Shape = Shape { name: "Middle", says: "z", like: Some(&INNER), holds: &[] };
    const OUTER: Shape = Shape {
        name: "Outer",
        says: "y",
        like: Some(&MIDDLE),
        holds: &[
            maybe("at", Is::OrNull(&Is::Moment), "when"),
            field("inner", Is::OrNull(&Is::A(&INNER)), "one"),
            field("word", Is::OrNull(&Is::OneOf(|| vec!["a"])), "a word"),
        ],
    };

    #[test]
    fn a_shape_is_an_object_and_what_it_holds_stands_beside_it_under_a_name_of_its_own() {
        let mut all = Schemas::new();
        let to = serde_json::to_value(Is::A(&OUTER).schema(&mut all)).unwrap();
        assert_eq!(to, json!({ "$ref": "#/components/schemas/Outer" }));
        let expected = json!({
            "Inner": {
                "type": "object", "description": "x", "required": ["n"],
                "properties": { "n": { "type": "integer", "minimum": 0, "description": "so many" } },
            },
            "Outer": {
                "type": "object", "description": "y", "required": ["n", "inner", "word"],
                "properties": {
                    "n": { "type": "integer", "minimum": 0, "description": "so many" },
                    "at": { "type": ["string", "null"], "format": "date-time", "description": "when" },
                    "inner": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Inner" }], "description": "one" },
                    "word": { "oneOf": [{ "type": "null" }, { "type": "string", "enum": ["a"] }], "description": "a word" },
                },
            },
        });
        assert_eq!(serde_json::to_value(all).unwrap(), expected);
    }
}
