//! Telephone numbers in free text, with four digits starred out: `138****0001`.
//!
//! ```text
//! mobile     1[3-9] and nine digits, in one piece or as 138-0000-0001, after +86, 86 or 0086
//! landline   area code (010, 02x or 0[3-9]xx), then seven or eight digits, in one piece or after one space or hyphen
//! ```
//!
//! Short numbers (12328, 110) and long ones (orders, identity cards) stay. When in doubt a number is masked: a lost
//! digit can be asked for again, a published one cannot be taken back.

use std::borrow::Cow;

/// The text with the four digits before the last four of every telephone number replaced by `*`. Nothing else
/// changes, and a text that is masked already comes back as it is.
pub fn mask_phones(text: &str) -> Cow<'_, str> {
    let chars: Vec<char> = text.chars().collect();
    let mut stars: Vec<usize> = Vec::new();
    let groups = groups(&chars);
    let mut g = 0;
    while g < groups.len() {
        let found = (1..=3).rev().filter_map(|n| chain(&groups, g, n)).find(|chain| is_phone(&chars, chain));
        match found {
            Some(chain) => {
                let digits: Vec<usize> = chain.iter().flat_map(|&(from, to)| from..to).collect();
                stars.extend(&digits[digits.len() - 8..digits.len() - 4]);
                g += chain.len();
            }
            None => g += 1,
        }
    }
    if stars.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = chars;
    for at in stars {
        masked[at] = '*';
    }
    Cow::Owned(masked.into_iter().collect())
}

/// A run of digits: from, to.
type Group = (usize, usize);

fn digit(c: char) -> Option<u8> {
    match c {
        '0'..='9' => Some(c as u8 - b'0'),
        '\u{ff10}'..='\u{ff19}' => u8::try_from(u32::from(c) - 0xff10).ok(),
        _ => None,
    }
}

fn groups(chars: &[char]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (i, c) in chars.iter().enumerate() {
        match groups.last_mut() {
            _ if digit(*c).is_none() => {}
            Some((_, to)) if *to == i => *to = i + 1,
            _ => groups.push((i, i + 1)),
        }
    }
    groups
}

/// `n` groups from `g` on, if one character of any kind stands between each two; what it is, `is_phone` asks.
fn chain(groups: &[Group], g: usize, n: usize) -> Option<&[Group]> {
    let chain = groups.get(g..g + n)?;
    chain.windows(2).all(|two| two[0].1 + 1 == two[1].0).then_some(chain)
}

fn is_phone(chars: &[char], chain: &[Group]) -> bool {
    let joints_fit = chain[1..].iter().all(|(from, _)| {
        matches!(chars[from - 1], ' ' | '-' | '\u{3000}' | '\u{ff0d}' | '\u{2010}'..='\u{2014}')
    });
    let digits: Vec<u8> =
        chain.iter().flat_map(|&(from, to)| &chars[from..to]).filter_map(|c| digit(*c)).collect();
    let lengths: Vec<usize> = chain.iter().map(|(from, to)| to - from).collect();
    joints_fit && (is_mobile(&digits, &lengths) || is_landline(&digits, &lengths))
}

fn is_mobile(digits: &[u8], lengths: &[usize]) -> bool {
    let mobile = |digits: &[u8]| matches!(digits, [1, 3..=9, rest @ ..] if rest.len() == 9);
    match lengths {
        [_] => [&[][..], &[8, 6], &[0, 0, 8, 6]].iter().any(|p| digits.strip_prefix(*p).is_some_and(mobile)),
        [3, 4, 4] | [3, 8] | [7, 4] => mobile(digits),
        _ => false,
    }
}

fn is_landline(digits: &[u8], lengths: &[usize]) -> bool {
    let (area, locals): (usize, &[usize]) = match digits {
        [0, 1, 0, ..] | [0, 2, ..] => (3, &[8]),
        [0, 3..=9, ..] => (4, &[7, 8]),
        _ => return false,
    };
    let shape = matches!(lengths, [_]) || lengths[0] == area;
    shape && digits.len().checked_sub(area).is_some_and(|local| locals.contains(&local))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_reach_a_person_are_masked() {
        let check = |text: &str, expected: &str| assert_eq!(mask_phones(text), expected);
        check("请打13800000001。", "请打138****0001。");
        check("138-0000-0001", "138-****-0001");
        check("138 0000 0001", "138 **** 0001");
        check("13800000001、13900000002", "138****0001、139****0002");
        check("+86 13800000001 或 8613800000001", "+86 138****0001 或 86138****0001");
        check("１３８００００００００１", "１３８００００００００１"); // twelve digits
        check("１３８０００００００１", "１３８****０００１");
        check("2026-11-23 13800000001", "2026-11-23 138****0001");
        check("tel13800000001x", "tel138****0001x");
        check("010-12345678", "010-****5678");
        check("0531 1234 5678", "0531 **** 5678");
        check("05311234567", "053****4567");
    }

    #[test]
    fn numbers_that_reach_nobody_stay() {
        for text in [
            "",
            "12328、110",
            "订单20261123138000000012",
            "桩号K123+400",
            "2026-11-23 10:30",
            "身份证370102199001011234",
            "1380000",
            "12345678901",
            "138****0001",
            "四百元400.00",
        ] {
            assert!(matches!(mask_phones(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn masking_twice_is_masking_once() {
        let once = mask_phones("13800000001 0531-12345678 138 0000 0001").into_owned();
        assert_eq!(mask_phones(&once), once);
        assert_eq!(once, "138****0001 0531-****5678 138 **** 0001");
    }
}
