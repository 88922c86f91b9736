//! What senders are told, in Chinese, within a few segments.
//!
//! A short message has 70 characters of UCS-2, and 67 in each part of a longer one.

use serde_json::Value;

use crate::public::stage_in_words;

/// The most parts of a message: who pays by the part should not pay for an agent's essay.
pub(super) const MAX_SEGMENTS: usize = 4;

const ONE: usize = 70;
const PART: usize = 67;

/// Who speaks.
const SIGN: &str = "【12328】";

/// What stands at the end of what is longer.
const MORE: &str = "……详情请拨12328";

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// How many parts a text has.
pub(super) fn segments(text: &str) -> usize {
    match units(text) {
        0..=ONE => 1,
        units => units.div_ceil(PART),
    }
}

/// A text that fits.
fn cut(text: &str) -> String {
    if segments(text) <= MAX_SEGMENTS {
        return text.to_owned();
    }
    let mut room = MAX_SEGMENTS * PART - units(MORE);
    let fits = |c: &char| {
        let fits = c.len_utf16() <= room;
        room = room.saturating_sub(c.len_utf16());
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push_str(MORE);
    cut
}

pub(super) fn accepted(number: &str, code: &str) -> String {
    format!("{SIGN}您的短信诉求已登记，工单号{number}，查询码{code}。查询进度请回复：查 {number} {code}")
}

pub(super) fn noted(number: &str) -> String {
    format!("{SIGN}您补充的内容已记入工单{number}。")
}

pub(super) fn answer(number: &str, text: &str) -> String {
    cut(&format!("{SIGN}工单{number}答复：{text}"))
}

pub(super) fn closed(number: &str) -> String {
    format!("{SIGN}工单{number}已办结。详情请拨12328。")
}

/// How a ticket stands, as `Told` says; `centre` names who has it.
pub(super) fn standing(told: &Value, centre: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut said = format!("{SIGN}工单{}：{}", text(&told["number"]), stage_in_words(&text(&told["stage"])));
    if !centre.is_empty() {
        said += &format!("，承办单位{centre}");
    }
    if let Some(due) = told["due"].as_str().and_then(|due| due.get(..10)) {
        said += &format!("，应于{due}前办结");
    }
    said.push('。');
    if let Some(last) = told["answers"].as_array().and_then(|answers| answers.last()) {
        said += &format!("答复：{}", text(&last["text"]));
    }
    cut(&said)
}

pub(super) fn unknown() -> String {
    format!("{SIGN}没有查到：工单号或查询码不正确。请核对后再发，或拨打12328查询。")
}

pub(super) fn misspelt() -> String {
    format!("{SIGN}工单号为JT开头的23个字符，查询码为8个字符，请核对。格式：查 工单号 查询码")
}

pub(super) fn help() -> String {
    format!(
        "{SIGN}反映问题请直接发送内容，写明时间、地点、车牌；查询请发送：查 工单号 查询码。Send your complaint as text; to query: \
         CX NUMBER CODE. 或拨打12328。"
    )
}

pub(super) fn slower() -> String {
    format!("{SIGN}您发送的短信过多，本条未登记。请一小时后再试，或拨打12328。")
}

pub(super) fn full() -> String {
    format!("{SIGN}短信登记数量已达上限，本条未登记。请直接拨打12328，话务员会为您登记。")
}

pub(super) fn refused() -> String {
    format!("{SIGN}您的短信无法登记，未保存任何内容。请拨打12328反映。")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_agent_writes_fits_into_a_few_parts() {
        assert_eq!(segments(&"长".repeat(70)), 1);
        assert_eq!(segments(&"长".repeat(71)), 2);
        let number = "JT370100202611290W0000C";
        for long in ["长".repeat(5_000), "🚗".repeat(500), format!("a{}", "🚗".repeat(500))] {
            let said = answer(number, &long);
            assert_eq!(segments(&said), MAX_SEGMENTS, "{said}");
            assert!(said.ends_with(MORE) && said.contains(number));
        }
        assert!(answer(number, "已整改").ends_with("答复：已整改"));
        for said in
            [accepted(number, "ABCD-EFGH"), help(), unknown(), misspelt(), slower(), full(), refused()]
        {
            assert!(segments(&said) <= 2, "{said}");
        }
    }
}
