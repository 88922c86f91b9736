//! How other systems call the columns of their tables of tickets.

use std::collections::BTreeMap;

use super::table::{ReferenceError, Source};

/// The fields of a call that a column may hold, as in `fixtures/samples.jsonl`.
const FIELDS: [&str; 19] = [
    "id",
    "text",
    "type",
    "domain",
    "field",
    "region_code",
    "caller_phone",
    "caller_type",
    "caller_name",
    "caller_address",
    "channel",
    "priority",
    "confidential",
    "subject",
    "place",
    "happened_at",
    "plate",
    "unit",
    "person",
];

/// Our names for their columns.
#[derive(Clone, Debug)]
pub struct Columns(BTreeMap<String, String>);

impl Columns {
    pub(super) fn parse(source: &Source) -> Result<Columns, ReferenceError> {
        let mut columns = BTreeMap::new();
        for row in source.rows(["column", "field"])? {
            let field = row.text(1)?;
            if !FIELDS.contains(&field) && field != "note" {
                return Err(row.wrong(1, format!("is none of {}, note", FIELDS.join(", "))));
            }
            if columns.insert(plain(row.text(0)?), field.to_owned()).is_some() {
                return Err(row.wrong(0, "is there twice"));
            }
        }
        Ok(Columns(columns))
    }

    /// The field that a column of this name holds; `None` for a name that the table does not know.
    pub fn field(&self, column: &str) -> Option<&str> {
        self.0.get(&plain(column)).map(String::as_str)
    }
}

/// A name without what people add to one: spaces, a star for what must be filled in, a colon.
fn plain(name: &str) -> String {
    let kept = |c: &char| !c.is_whitespace() && !matches!(c, '*' | '＊' | ':' | '：');
    name.chars().filter(kept).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_known_however_it_is_written() {
        let columns =
            Columns::parse(&Source::test("column,field\n联系电话,caller_phone\nPhone,caller_phone\n"))
                .unwrap();
        for name in ["联系电话", " 联系 电话：", "*联系电话", "PHONE"] {
            assert_eq!(columns.field(name), Some("caller_phone"), "{name}");
        }
        assert_eq!(columns.field("电话"), None);
    }

    #[test]
    fn a_wrong_table_is_refused() {
        for (table, why) in [
            ("column,field\na,telephone\n", "is none of"),
            ("column,field\na,text\nA,id\n", "is there twice"),
        ] {
            assert!(Columns::parse(&Source::test(table)).unwrap_err().to_string().contains(why), "{table}");
        }
    }
}
