//! Fields of a centre's own (个性化): what is asked of a call beside what every ticket has, and what may stand there.
//!
//! A field is known by its name, under which it stands in a ticket as the fact `x.NAME`. A site that does not know it shows it by
//! that name.

use super::categories::CategoryCode;
use super::table::{ReferenceError, Row, Source};

/// The most fields: a form shows all of them.
const MOST: usize = 40;

/// The most values of a list.
const MOST_CHOICES: usize = 100;

/// The longest name of a field, label or value of a list, in characters.
const LONGEST: usize = 40;

/// Names that a new ticket or its marks have already.
const TAKEN: [&str; 26] = [
    "id",
    "text",
    "type",
    "domain",
    "field",
    "topic",
    "region_code",
    "caller_phone",
    "caller_type",
    "caller_name",
    "caller_address",
    "channel",
    "priority",
    "confidential",
    "expected_route",
    "note",
    "subject",
    "place",
    "happened_at",
    "plate",
    "unit",
    "person",
    "centre",
    "against",
    "test",
    "filed_as",
];

/// What may stand in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A few words.
    Text,
    /// One of these.
    Choice(Vec<String>),
    /// A number, as it is written.
    Number,
    /// A day, as in `2026-11-30`.
    Date,
    /// 是 or 否.
    Yes,
}

impl FieldKind {
    /// What the table calls it.
    pub fn word(&self) -> &'static str {
        match self {
            FieldKind::Text => "text",
            FieldKind::Choice(_) => "choice",
            FieldKind::Number => "number",
            FieldKind::Date => "date",
            FieldKind::Yes => "yes",
        }
    }
}

/// A field of a centre's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnField {
    name: String,
    zh: String,
    en: String,
    kind: FieldKind,
    business: String,
    domain: String,
    required: bool,
    basis: String,
}

impl OwnField {
    /// Its name: the fact is `x.` and this.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is called, in Chinese and in English.
    pub fn label(&self) -> (&str, &str) {
        (&self.zh, &self.en)
    }

    /// What may stand there.
    pub fn kind(&self) -> &FieldKind {
        &self.kind
    }

    /// 业务类型: of which matters it is asked; empty for all.
    pub fn business(&self) -> &str {
        &self.business
    }

    /// The code of the domain of which it is asked; empty for all.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether whoever takes a call has to fill it in.
    pub fn required(&self) -> bool {
        self.required
    }

    /// On what it rests.
    pub fn basis(&self) -> &str {
        &self.basis
    }

    /// Whether it is asked of such a matter.
    pub fn fits(&self, business: &str, domain: &str) -> bool {
        let fits = |wanted: &str, said: &str| wanted.is_empty() || wanted == said;
        fits(&self.business, business) && fits(&self.domain, domain)
    }
}

/// The fields, in the order in which a form shows them.
#[derive(Clone, Debug)]
pub struct OwnFields(Vec<OwnField>);

impl OwnFields {
    pub(super) fn parse(source: &Source) -> Result<OwnFields, ReferenceError> {
        let mut all: Vec<OwnField> = Vec::new();
        let columns = ["name", "zh", "en", "kind", "choices", "business", "domain", "required", "basis"];
        for row in source.rows(columns)? {
            let name = short(&row, 0)?;
            if !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
                return Err(row.wrong(0, "is no name of a field: letters, digits, `_` and `-`"));
            }
            if TAKEN.contains(&name) {
                return Err(row.wrong(0, "is what a ticket calls something else; choose another name"));
            }
            if all.iter().any(|field| field.name == name) {
                return Err(row.wrong(0, "stands in an earlier row already"));
            }
            if all.len() == MOST {
                return Err(row.wrong(0, format!("is one field too many: there may be {MOST}")));
            }
            let domain = row.fields[6];
            if !domain.is_empty() {
                row.parsed::<CategoryCode>(6, "is not the code of a domain, like D04")?;
            }
            all.push(OwnField {
                name: name.to_owned(),
                zh: short(&row, 1)?.to_owned(),
                en: short(&row, 2)?.to_owned(),
                kind: kind(&row)?,
                business: row.fields[5].to_owned(),
                domain: domain.to_owned(),
                required: row.one_of(7, &[("", false), ("yes", true)])?,
                basis: row.text(8)?.to_owned(),
            });
        }
        Ok(OwnFields(all))
    }

    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&OwnField> {
        self.0.iter().find(|field| field.name == name)
    }

    /// The field that is the fact of this name: `x.NAME`.
    pub fn of_fact(&self, fact: &str) -> Option<&OwnField> {
        self.get(fact.strip_prefix("x.")?)
    }

    /// The field of this name, else the one that is called so in either language: how the column of a table may name it. What a ticket
    /// calls something else is none of them.
    pub fn called(&self, label: &str) -> Option<&OwnField> {
        if OwnFields::is_taken(label) {
            return None;
        }
        self.get(label).or_else(|| self.0.iter().find(|field| field.zh == label || field.en == label))
    }

    /// Whether a ticket calls something else so.
    pub fn is_taken(name: &str) -> bool {
        TAKEN.contains(&name)
    }

    /// Where a fact comes among them; after all of them when it is none.
    pub fn place(&self, fact: &str) -> usize {
        let name = fact.strip_prefix("x.").unwrap_or_default();
        self.0.iter().position(|field| field.name == name).unwrap_or(self.0.len())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &OwnField> {
        self.0.iter()
    }
}

fn short<'a>(row: &Row<'a, 9>, i: usize) -> Result<&'a str, ReferenceError> {
    let text = row.text(i)?;
    match text.chars().nth(LONGEST) {
        None => Ok(text),
        Some(_) => Err(row.wrong(i, format!("is longer than {LONGEST} characters"))),
    }
}

fn kind(row: &Row<'_, 9>) -> Result<FieldKind, ReferenceError> {
    let word = ["text", "choice", "number", "date", "yes"].map(|word| (word, word));
    let word = row.one_of(3, &word)?;
    let choices: Vec<String> =
        row.fields[4].split('|').map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned).collect();
    if word != "choice" && !choices.is_empty() {
        return Err(row.wrong(4, format!("does not fit: a field of the kind `{word}` has no choices")));
    }
    Ok(match word {
        "text" => FieldKind::Text,
        "number" => FieldKind::Number,
        "date" => FieldKind::Date,
        "yes" => FieldKind::Yes,
        _ => {
            let mut once = choices.clone();
            once.sort_unstable();
            once.dedup();
            if choices.len() < 2 || once.len() < choices.len() {
                return Err(row.wrong(4, "is no list: two values or more, each once, with `|` between them"));
            }
            if choices.len() > MOST_CHOICES || choices.iter().any(|c| c.chars().nth(LONGEST).is_some()) {
                let why =
                    format!("has more than {MOST_CHOICES} values, or one longer than {LONGEST} characters");
                return Err(row.wrong(4, why));
            }
            FieldKind::Choice(choices)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "name,zh,en,kind,choices,business,domain,required,basis\n";

    fn parsed(rows: &str) -> Result<OwnFields, ReferenceError> {
        OwnFields::parse(&Source::test(format!("{HEADER}{rows}").leak()))
    }

    #[test]
    fn a_field_is_asked_of_its_matters_and_of_no_others() {
        let fields = parsed(
            "vehicle,车型,Kind of vehicle,choice,小型 客车|大型货车,投诉举报,D04,yes,x\nroad,路段,Stretch,text,,,,,x\n",
        )
        .unwrap();
        let fit = |business, domain| -> Vec<&str> {
            fields.iter().filter(|f| f.fits(business, domain)).map(OwnField::name).collect()
        };
        assert_eq!(fit("投诉举报", "D04"), ["vehicle", "road"]);
        assert_eq!(fit("投诉举报", "D01"), ["road"]);
        assert_eq!(fit("", ""), ["road"]);
        let vehicle = fields.of_fact("x.vehicle").unwrap();
        assert_eq!(vehicle.kind(), &FieldKind::Choice(vec!["小型 客车".into(), "大型货车".into()]));
        assert!(vehicle.required() && fields.of_fact("vehicle").is_none());
        assert_eq!(fields.called("路段").map(OwnField::name), Some("road"));
        let crossed = parsed("a,甲,b,text,,,,,x\nb,乙,centre,text,,,,,x\n").unwrap();
        assert_eq!(["b", "centre"].map(|name| crossed.called(name).map(OwnField::name)), [Some("b"), None]);
        assert_eq!(["x.road", "x.other"].map(|fact| fields.place(fact)), [1, 2]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (rows, why) in [
            ("a b,甲,a,text,,,,,x", "line 2, column `name`: `a b` is no name of a field"),
            ("plate,车牌,plate,text,,,,,x", "column `name`: `plate` is what a ticket calls something else"),
            ("a,甲,a,text,,,,,x\na,乙,b,text,,,,,x", "line 3, column `name`: `a` stands in an earlier row"),
            ("a,,a,text,,,,,x", "column `zh`: `` is empty"),
            ("a,甲,a,list,,,,,x", "column `kind`: `list` is none of text, choice, number, date, yes"),
            ("a,甲,a,choice,大,,,,x", "column `choices`: `大` is no list"),
            ("a,甲,a,choice,大|大|小,,,,x", "column `choices`: `大|大|小` is no list"),
            ("a,甲,a,date,大|小,,,,x", "column `choices`: `大|小` does not fit"),
            ("a,甲,a,text,,,城市客运,,x", "column `domain`: `城市客运` is not the code of a domain"),
            ("a,甲,a,text,,,,maybe,x", "column `required`: `maybe` is none of , yes"),
            ("a,甲,a,text,,,,,", "column `basis`: `` is empty"),
        ] {
            let error = parsed(rows).unwrap_err().to_string();
            assert!(error.contains(why), "{rows}: {error}");
        }
        let many: String = (0..=MOST).map(|n| format!("f{n},甲,a,text,,,,,x\n")).collect();
        let error = parsed(&many).unwrap_err().to_string();
        assert!(error.contains("line 42, column `name`: `f40` is one field too many"), "{error}");
    }
}
