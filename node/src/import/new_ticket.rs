//! A ticket that is not yet one: what is known about a call before it has a number and a document.

use std::collections::BTreeMap;
use std::fmt;

use certs::Site;
use serde_json::Value;

use super::mask::mask_phones;
use super::own::own_value;
use super::samples::Sample;
use crate::reference::{CategoryCode, DivisionCode, Reference};

/// The most characters of a body. One character is one operation in a document, and a change holds 20,000.
const MAX_BODY: usize = 10_000;

/// The most characters of a subject.
pub(super) const MAX_SUBJECT: usize = 40;

/// The most characters of any other text.
pub(super) const MAX_TEXT: usize = 500;

/// The most extra fields.
pub(crate) const MAX_EXTRA: usize = 50;

/// The most bytes of one extra field as JSON, and of its name.
pub(super) const MAX_EXTRA_BYTES: usize = 4096;

/// How soon somebody must act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// 一般.
    #[default]
    Ordinary,
    /// 紧急.
    Urgent,
    /// 特急.
    Critical,
}

impl Urgency {
    /// Every one, the least first.
    pub const ALL: [Urgency; 3] = [Self::Ordinary, Self::Urgent, Self::Critical];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ordinary => "一般",
            Self::Urgent => "紧急",
            Self::Critical => "特急",
        }
    }

    /// The urgency of this word; nothing said is ordinary.
    pub(crate) fn of(word: &str) -> Option<Urgency> {
        if word.is_empty() { Some(Self::Ordinary) } else { Self::ALL.into_iter().find(|u| u.word() == word) }
    }
}

/// The person who called. Never to be written anywhere in clear.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Name; empty when not given, as all fields here.
    pub name: String,
    /// Telephone number as given.
    pub phone: String,
    /// Address.
    pub address: String,
    /// What the caller is: 乘客, 货车司机, ...
    pub kind: String,
}

/// Shows which fields are filled in, and none of them.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = |s: &str| if s.is_empty() { "-" } else { "given" };
        f.debug_struct("Caller")
            .field("name", &given(&self.name))
            .field("phone", &given(&self.phone))
            .field("address", &given(&self.address))
            .field("kind", &given(&self.kind))
            .finish()
    }
}

/// What is known about a call, checked and capped. Empty strings mean "not said".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewTicket {
    /// How it came in: 电话, 短信, ...
    pub channel: String,
    /// 信息咨询, 投诉举报, 意见建议, 其他, ...
    pub business: String,
    /// The domain's code.
    pub domain: Option<CategoryCode>,
    /// The topic's code.
    pub topic: Option<CategoryCode>,
    /// The division that took the call or that the matter belongs to.
    pub region: Option<DivisionCode>,
    /// Where it happened, in words.
    pub place: String,
    /// When it happened, as said.
    pub happened_at: String,
    /// 远程座席: the centre for which the call was taken, if it was another's.
    pub centre: Option<Site>,
    /// One line of at most 40 characters.
    pub subject: String,
    /// What the caller said, telephone numbers masked, at most 10,000 characters.
    pub body: String,
    /// The plate of the vehicle that it is about.
    pub plate: String,
    /// The unit that it is about.
    pub unit: String,
    /// The person that it is about.
    pub object_person: String,
    /// How soon somebody must act.
    pub urgency: Urgency,
    /// 举报人保密: the caller must stay unknown to those who handle the matter.
    pub confidential: bool,
    /// The person who called.
    pub caller: Caller,
    /// Numbers that others gave to the matter.
    pub external_numbers: Vec<String>,
    /// Fields that have no place of their own.
    pub extra: BTreeMap<String, Value>,
}

/// Why a sample makes no ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTicketError {
    /// The field, as the sample calls it.
    pub field: String,
    /// What is wrong with it, as a half-sentence with the next step. Never quotes the field.
    pub why: String,
}

impl fmt::Display for NewTicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.why)
    }
}

impl std::error::Error for NewTicketError {}

pub(super) fn wrong(field: &str, why: impl Into<String>) -> NewTicketError {
    NewTicketError { field: field.chars().take(40).collect(), why: why.into() }
}

impl NewTicket {
    /// The ticket that a sample asks for. A domain or topic that the tables do not know becomes an extra field of
    /// its name, so a foreign classification costs no ticket; so do `expected_route`, `note` and unknown fields,
    /// but for the texts `subject`, `place`, `happened_at`, `plate`, `unit`, `person`, `caller_name` and
    /// `caller_address`, which have places of their own. A field of the centre's own that fits its kind is written as all of
    /// them are; one that does not stays as it came ([`NewTicket::unfit`]).
    pub fn from_sample(sample: Sample, reference: &Reference) -> Result<NewTicket, NewTicketError> {
        let mut extra = sample.others;
        let mut own = |field: &'static str| match extra.remove(field) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => capped(field, text),
            Some(_) => Err(wrong(field, "is not a text; put it between quotation marks")),
        };
        let (place, happened_at, subject) = (own("place")?, own("happened_at")?, own("subject")?);
        let (plate, unit, object_person) = (own("plate")?, own("unit")?, own("person")?);
        let (name, address) = (own("caller_name")?, own("caller_address")?);
        let centre = centre(&own("centre")?, reference)?;

        let text = sample.text.trim();
        if text.is_empty() {
            return Err(wrong("text", "is empty; write what the caller said"));
        }
        if text.chars().nth(MAX_BODY).is_some() {
            return Err(wrong(
                "text",
                format!("is longer than {MAX_BODY} characters; attach it as a file instead"),
            ));
        }
        let body = mask_phones(text).into_owned();
        let subject = first_sentence(if subject.trim().is_empty() { &body } else { &subject });

        let mut leftover = |field: &str, text: String| {
            if !text.is_empty() {
                extra.insert(field.to_owned(), Value::String(text));
            }
        };
        let domain = reference.categories.domain(&sample.domain).ok();
        let topic = reference.categories.topic(domain, &sample.topic).ok();
        // A topic by itself says its domain, unless a domain was named that we do not know.
        let domain = domain
            .or(topic.filter(|_| sample.domain.is_empty()).and_then(|t| reference.categories.domain_of(t)));
        let topic = topic.filter(|_| domain.is_some());
        if domain.is_none() {
            leftover("domain", capped("domain", sample.domain)?);
        }
        if topic.is_none() {
            leftover("field", capped("field", sample.topic)?);
        }
        leftover("expected_route", capped("expected_route", sample.expected_route)?);
        leftover("note", mask_phones(&capped("note", sample.note)?).into_owned());
        for (name, said) in &mut extra {
            if let Some(Ok(fitting)) = reference.fields.get(name).map(|field| own_value(field, said)) {
                *said = Value::String(fitting);
            }
        }
        check_extra(&extra)?;

        let region = match sample.region_code.as_str() {
            "" => None,
            code => Some(
                code.parse().map_err(|_| wrong("region_code", "is not a division code; write six digits"))?,
            ),
        };
        let urgency = Urgency::of(&sample.priority).ok_or_else(|| {
            wrong("priority", "is none of 一般, 紧急 and 特急; leave it out if nobody said")
        })?;
        Ok(NewTicket {
            channel: capped("channel", sample.channel)?,
            business: capped("type", sample.business)?,
            domain: domain.map(|c| c.code().clone()),
            topic: topic.map(|c| c.code().clone()),
            region,
            centre,
            place: mask_phones(&place).into_owned(),
            happened_at,
            subject,
            body,
            plate,
            unit,
            object_person,
            urgency,
            confidential: sample.confidential,
            caller: Caller {
                name,
                phone: capped("caller_phone", sample.caller_phone)?,
                address,
                kind: capped("caller_type", sample.caller_type)?,
            },
            external_numbers: Some(capped("id", sample.id)?)
                .into_iter()
                .filter(|id| !id.is_empty())
                .collect(),
            extra,
        })
    }
}

/// A centre that is known, or none.
pub(super) fn centre(said: &str, reference: &Reference) -> Result<Option<Site>, NewTicketError> {
    let said = said.trim();
    if said.is_empty() {
        return Ok(None);
    }
    let known = said.parse().ok().filter(|site| reference.centres.get(*site).is_some());
    known.map(Some).ok_or_else(|| wrong("centre", "is no centre; write its code, like 371700"))
}

pub(super) fn capped(field: &str, text: String) -> Result<String, NewTicketError> {
    match text.chars().nth(MAX_TEXT) {
        None => Ok(text),
        Some(_) => Err(wrong(field, format!("is longer than {MAX_TEXT} characters; shorten it"))),
    }
}

fn check_extra(extra: &BTreeMap<String, Value>) -> Result<(), NewTicketError> {
    if extra.len() > MAX_EXTRA {
        return Err(wrong("extra fields", format!("are more than {MAX_EXTRA}; leave some out")));
    }
    match extra.iter().find(|(name, value)| name.len() + value.to_string().len() > MAX_EXTRA_BYTES) {
        None => Ok(()),
        Some((name, _)) => {
            Err(wrong(name, format!("is larger than {MAX_EXTRA_BYTES} bytes; attach it as a file instead")))
        }
    }
}

/// The first sentence, masked and clipped to 40 characters, the last of which is then `…`.
fn first_sentence(text: &str) -> String {
    let text = mask_phones(
        text.trim_start_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '“' | '《' | '"')),
    );
    let mut rest = text.char_indices().peekable();
    let mut end = text.len();
    while let Some((at, c)) = rest.next() {
        let over = match c {
            '。' | '！' | '？' | '!' | '?' | '；' | ';' | '\n' | '\r' => true,
            '.' => rest.peek().is_none_or(|(_, next)| next.is_whitespace()), // not the point in 4.5
            _ => false,
        };
        if over {
            end = at;
            break;
        }
    }
    let sentence = text[..end].trim();
    if sentence.chars().nth(MAX_SUBJECT).is_none() {
        return sentence.to_owned();
    }
    sentence.chars().take(MAX_SUBJECT - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::SampleReader;

    fn ticket(json: &str) -> Result<NewTicket, NewTicketError> {
        NewTicket::from_sample(Sample::parse(json.as_bytes(), 1).unwrap(), Reference::built_in())
    }

    #[test]
    fn every_fixture_becomes_a_ticket_and_loses_nothing() {
        let text = include_str!("../../../fixtures/samples.jsonl");
        let mut confidential = 0;
        for result in SampleReader::new(text.as_bytes()) {
            let (line, sample) = result.unwrap();
            let t = NewTicket::from_sample(sample.clone(), Reference::built_in()).unwrap();
            assert!(t.domain.is_some() && t.topic.is_some() && t.region.is_some(), "line {line}");
            let topic = Reference::built_in().categories.get(t.topic.as_ref().unwrap()).unwrap();
            assert_eq!(topic.name(), sample.topic);
            assert_eq!(
                (&t.body, &t.caller.phone, t.urgency.word()),
                (&sample.text, &sample.caller_phone, &*sample.priority)
            );
            assert_eq!(t.external_numbers, [sample.id]);
            assert!((1..=40).contains(&t.subject.chars().count()), "{}", t.subject);
            assert!(!t.extra.contains_key("domain") && t.extra.contains_key("expected_route"));
            confidential += usize::from(t.confidential);
        }
        assert_eq!(confidential, 5);
    }

    #[test]
    fn the_subject_is_the_first_sentence() {
        let check = |text: &str, expected: &str| assert_eq!(first_sentence(text), expected);
        check("出租车拒载。我很生气。", "出租车拒载");
        check("4.5吨以下的货车要不要证?急", "4.5吨以下的货车要不要证");
        check("The bus is late. Again.", "The bus is late");
        check("……喂", "喂");
        check("  两行\n第二行", "两行");
        check("打13800000001找我", "打138****0001找我");
        check(&"长".repeat(40), &"长".repeat(40));
        check(&"长".repeat(41), &format!("{}…", "长".repeat(39)));
        check("。。。", "");
    }

    #[test]
    fn what_is_said_lands_in_its_place() {
        let t = ticket(
            r#"{"text":"我是13800000001,车坏了","plate":"鲁A12345","place":"站前街","caller_name":"张三","happened_at":"昨天","x":[1]}"#,
        )
        .unwrap();
        assert_eq!(
            (&*t.plate, &*t.place, &*t.caller.name, &*t.happened_at),
            ("鲁A12345", "站前街", "张三", "昨天")
        );
        assert_eq!(t.body, "我是138****0001,车坏了");
        assert_eq!(t.extra.keys().collect::<Vec<_>>(), ["x"]);
        assert!(!format!("{t:?}").contains("张三"), "{t:?}");
        assert_eq!(t.urgency, Urgency::Ordinary);
    }

    #[test]
    fn foreign_words_for_matters_are_kept() {
        let t = ticket(r#"{"text":"a","domain":"航天","field":"火箭"}"#).unwrap();
        assert_eq!((t.domain, t.topic), (None, None));
        assert_eq!((&t.extra["domain"], &t.extra["field"]), (&Value::from("航天"), &Value::from("火箭")));
        let t = ticket(r#"{"text":"a","field":"巡游出租汽车"}"#).unwrap();
        assert_eq!((t.domain, t.topic), ("D04".parse().ok(), "D0401".parse().ok()));
        let t = ticket(r#"{"text":"a","domain":"航天","field":"巡游出租汽车"}"#).unwrap();
        assert_eq!((t.domain, t.topic, t.extra.len()), (None, None, 2));
    }

    #[test]
    fn what_cannot_be_taken_is_said() {
        let check =
            |json: String, expected: &str| assert_eq!(ticket(&json).unwrap_err().to_string(), expected);
        check(r#"{"text":" "}"#.into(), "`text` is empty; write what the caller said");
        check(
            format!(r#"{{"text":"{}"}}"#, "长".repeat(10_001)),
            "`text` is longer than 10000 characters; attach it as a file instead",
        );
        check(
            r#"{"text":"a","region_code":"济南"}"#.into(),
            "`region_code` is not a division code; write six digits",
        );
        check(
            r#"{"text":"a","priority":"快"}"#.into(),
            "`priority` is none of 一般, 紧急 and 特急; leave it out if nobody said",
        );
        check(r#"{"text":"a","plate":7}"#.into(), "`plate` is not a text; put it between quotation marks");
        check(
            format!(r#"{{"text":"a","caller_phone":"{}"}}"#, "1".repeat(501)),
            "`caller_phone` is longer than 500 characters; shorten it",
        );
        check(
            format!(r#"{{"text":"a","x":"{}"}}"#, "1".repeat(5000)),
            "`x` is larger than 4096 bytes; attach it as a file instead",
        );
        let many: String = (0..51).map(|i| format!(r#","x{i}":1"#)).collect();
        check(format!(r#"{{"text":"a"{many}}}"#), "`extra fields` are more than 50; leave some out");
    }
}
