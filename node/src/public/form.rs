//! What a citizen typed: kept as it was typed, checked field by field, and made a ticket of.

use serde_json::{Value, json};

use super::shell::Tongue;
use crate::desk::Fields;
use crate::reference::Categories;

/// The longest texts, in characters.
const MAX_TEXT: usize = 3_000;
const MAX_PLACE: usize = 200;
const MAX_WHEN: usize = 60;
const MAX_PLATE: usize = 20;
const MAX_NAME: usize = 50;
const MAX_PHONE: usize = 30;

/// How few digits make no telephone number, and how many.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=16;

/// The channel of tickets that come in here, as the statistics name it.
pub(super) const CHANNEL: &str = "网站";

/// The field that people do not see: who fills it in is a program.
const TRAP: &str = "website";

/// What a request is.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
    business: &'static str,
    /// Whether somebody has to be reachable for it.
    pub(super) needs_person: bool,
    pub(super) confidential: bool,
}

/// All kinds.
pub(super) const KINDS: [Kind; 5] = [
    Kind {
        name: "question",
        zh: "咨询：我有一个问题",
        en: "A question",
        business: "信息咨询",
        needs_person: false,
        confidential: false,
    },
    Kind {
        name: "complaint",
        zh: "投诉：我遇到的服务有问题",
        en: "A complaint: something went wrong for me",
        business: "投诉举报",
        needs_person: true,
        confidential: false,
    },
    Kind {
        name: "report",
        zh: "举报：有人违反规定",
        en: "A report: somebody breaks the rules",
        business: "投诉举报",
        needs_person: true,
        confidential: false,
    },
    Kind {
        name: "confidential",
        zh: "保密举报：办理单位看不到我是谁",
        en: "A confidential report: whoever handles it cannot see who I am",
        business: "投诉举报",
        needs_person: true,
        confidential: true,
    },
    Kind {
        name: "suggestion",
        zh: "建议：我有一个想法",
        en: "A suggestion",
        business: "意见建议",
        needs_person: true,
        confidential: false,
    },
];

/// A field that has to be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) field: &'static str,
    pub(super) text: String,
}

/// A form as it was typed.
#[derive(Clone, Default)]
pub(super) struct Typed {
    pub(super) kind: String,
    pub(super) topic: String,
    pub(super) text: String,
    pub(super) place: String,
    pub(super) happened_at: String,
    pub(super) plate: String,
    pub(super) name: String,
    pub(super) phone: String,
    pub(super) trap: String,
}

impl Typed {
    pub(super) fn of(fields: &Fields) -> Typed {
        // What is far too long is cut where it is longer than any cap: the page that shows it again stays small.
        let text = |name: &str| fields.text(name).chars().take(2 * MAX_TEXT).collect::<String>();
        Typed {
            kind: text("kind"),
            topic: text("topic"),
            text: text("text"),
            place: text("place"),
            happened_at: text("happened_at"),
            plate: text("plate"),
            name: text("name"),
            phone: text("phone"),
            trap: text(TRAP),
        }
    }

    /// Whether whoever it is about must not learn who files it.
    pub(super) fn is_confidential(&self) -> bool {
        self.kind().is_some_and(|kind| kind.confidential)
    }

    fn kind(&self) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.name == self.kind)
    }

    /// What of it has to be mended; nothing when a ticket can be made of it.
    pub(super) fn problems(&self, t: Tongue, categories: &Categories) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |field, zh: &str, en: &str| {
            problems.push(Problem { field, text: t.say(zh, en).to_owned() });
        };
        if !self.trap.is_empty() {
            wrong(
                TRAP,
                "请把“网址”一栏留空：它只用来识别自动程序",
                "Leave the field “website” empty: it is there to tell programs from people",
            );
        }
        if self.kind().is_none() {
            wrong("kind", "请选择类别", "Please choose what it is");
        }
        let known =
            |code: &str| categories.topic(None, code).is_ok_and(|topic| topic.code().to_string() == code);
        if !self.topic.is_empty() && !known(&self.topic) {
            wrong("topic", "请从列表中选择", "Please choose one of the list");
        }
        if self.text.is_empty() {
            wrong("text", "请写明情况", "Please write what it is about");
        }
        for (field, said, most, zh, en) in [
            ("text", &self.text, MAX_TEXT, "内容", "The text"),
            ("place", &self.place, MAX_PLACE, "地点", "The place"),
            ("happened_at", &self.happened_at, MAX_WHEN, "时间", "The time"),
            ("plate", &self.plate, MAX_PLATE, "车牌号", "The plate"),
            ("name", &self.name, MAX_NAME, "姓名", "The name"),
            ("phone", &self.phone, MAX_PHONE, "电话", "The telephone number"),
        ] {
            if said.chars().nth(most).is_some() {
                wrong(
                    field,
                    &format!("{zh}最多 {most} 字，请缩短"),
                    &format!("{en} has more than {most} characters; please shorten it"),
                );
            }
        }
        let needs_person = self.kind().is_some_and(|kind| kind.needs_person);
        if needs_person && self.name.is_empty() {
            wrong(
                "name",
                "请填写姓名：除咨询外，都需要与您联系",
                "Please give your name: all but questions need it",
            );
        }
        if needs_person && self.phone.is_empty() {
            wrong(
                "phone",
                "请填写电话：处理结果要回复给您",
                "Please give a telephone number: we have to reply to you",
            );
        }
        let digits = self.phone.chars().filter(char::is_ascii_digit).count();
        let signs = self.phone.chars().all(|c| c.is_ascii_digit() || " +-()（）".contains(c));
        let dialled = signs && DIGITS.contains(&digits);
        if !self.phone.is_empty() && !dialled {
            wrong(
                "phone",
                "这不像电话号码，请只写数字，例如 13800000000 或 0531-88880000",
                "This looks like no telephone number; please write digits, like 13800000000 or 0531-88880000",
            );
        }
        problems
    }

    /// The ticket that it asks for, in the shape of a sample line. Of a confidential report everything in words goes into
    /// the text, which is sealed.
    pub(super) fn sample(&self, region: Option<&str>) -> Value {
        let kind = self.kind();
        let confidential = kind.is_some_and(|kind| kind.confidential);
        let label = kind.map_or("", |kind| kind.zh.split('：').next().unwrap_or_default());
        let mut sample = json!({
            "type": kind.map_or("", |kind| kind.business), "field": self.topic, "channel": CHANNEL,
            "caller_phone": self.phone, "caller_name": self.name, "confidential": confidential, "filed_as": label,
        });
        if let Some(region) = region {
            sample["region_code"] = region.into();
        }
        let said = [
            ("place", "地点", &self.place),
            ("happened_at", "时间", &self.happened_at),
            ("plate", "车牌号", &self.plate),
        ];
        let mut text = self.text.clone();
        for (field, label, said) in said.into_iter().filter(|(.., said)| !said.is_empty()) {
            match confidential {
                true => text += &format!("\n{label}：{said}"),
                false => sample[field] = said.as_str().into(),
            }
        }
        sample["text"] = text.into();
        sample
    }

    /// What makes two forms the same.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("hotline 2026 public request");
        for part in [
            &self.kind,
            &self.topic,
            &self.text,
            &self.place,
            &self.happened_at,
            &self.plate,
            &self.name,
            &self.phone,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{NewTicket, Sample};
    use crate::reference::Reference;

    fn typed(pairs: &[(&str, &str)]) -> Typed {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(pairs);
        Typed::of(&Fields::read(body.finish().as_bytes()).unwrap())
    }

    fn wrong(pairs: &[(&str, &str)]) -> Vec<&'static str> {
        let typed = typed(pairs);
        let in_both = ["zh", "en"].map(|lang| {
            let problems = typed.problems(Tongue::of(lang), &Reference::built_in().categories);
            problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        });
        assert_eq!(in_both[0], in_both[1]);
        in_both[0].clone()
    }

    #[test]
    fn every_field_is_checked_by_itself() {
        assert_eq!(wrong(&[]), ["kind", "text"]);
        assert_eq!(wrong(&[("kind", "question"), ("text", "几点开门")]), [""; 0]);
        for kind in ["complaint", "report", "confidential", "suggestion"] {
            assert_eq!(wrong(&[("kind", kind), ("text", "拒载")]), ["name", "phone"], "{kind}");
        }
        let full = [("kind", "complaint"), ("text", "拒载"), ("name", "赵六")];
        let with = |field: &'static str, said: &str| {
            wrong(&[&full[..], &[("phone", "0531-88880000"), (field, said)]].concat())
        };
        assert_eq!(with("place", "泉城广场"), [""; 0]);
        assert_eq!(with("topic", "D0401"), [""; 0]);
        assert_eq!(with("topic", "D99"), ["topic"]);
        assert_eq!(with("topic", "巡游出租汽车"), ["topic"], "the list has codes");
        assert_eq!(with("website", "http://spam"), ["website"]);
        assert_eq!(with("place", &"长".repeat(201)), ["place"]);
        for phone in ["12328", "call me", "1234567890123456789", "138000000o0"] {
            assert_eq!(wrong(&[&full[..], &[("phone", phone)]].concat()), ["phone"], "{phone}");
        }
        assert_eq!(wrong(&[&full[..], &[("phone", "+86 138 0000 0000")]].concat()), [""; 0]);
        let long = "长".repeat(MAX_TEXT + 1);
        assert_eq!(wrong(&[("kind", "question"), ("text", &long)]), ["text"]);
    }

    #[test]
    fn a_form_becomes_a_ticket_of_the_channel_web() {
        let ticket = |kind: &str| {
            let typed = typed(&[
                ("kind", kind),
                ("topic", "D0401"),
                ("text", "拒载"),
                ("place", "泉城广场"),
                ("plate", "鲁A00001"),
                ("name", "赵六"),
                ("phone", "13800000001"),
            ]);
            let sample = Sample::read(&typed.sample(Some("370100")), 1).unwrap();
            NewTicket::from_sample(sample, Reference::built_in()).unwrap()
        };
        let open = ticket("complaint");
        assert_eq!((&*open.channel, &*open.business, &*open.place), (CHANNEL, "投诉举报", "泉城广场"));
        assert_eq!((open.domain.unwrap().to_string(), open.confidential), ("D04".to_owned(), false));
        assert_eq!((&*open.caller.name, &*open.caller.phone), ("赵六", "13800000001"));
        assert_eq!(open.extra["filed_as"], "投诉");
        let sealed = ticket("confidential");
        assert!(sealed.confidential && sealed.place.is_empty() && sealed.plate.is_empty());
        assert_eq!(sealed.body, "拒载\n地点：泉城广场\n车牌号：鲁A00001");
    }
}
