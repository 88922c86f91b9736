//! Which editions are in force on a day, and the tables that they make.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use certs::{Site, Tier};
use jiff::civil::Date;
use serde::Serialize;

use super::edition::{Edition, Name};
use super::table::{Rows, added, with_years};
use crate::reference::{BUILT_IN, Held, How, Limit, Limits, Matter, Policy, Reference};

/// The table of time limits, which is looked up by the day on which a clock began.
pub const TIME_LIMITS: &str = "time_limits";

/// The others, each after what it is read together with: the order in which they are put.
pub const IN_ORDER: [&str; 13] = [
    "divisions",
    "division_changes",
    "centres",
    "categories",
    "redirects",
    "legacy_numbers",
    "figures",
    "scorecard",
    "holidays",
    "transfers",
    "retention",
    "fields",
    "dispatch",
];

/// An edition that is here and has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Of which table.
    pub table: String,
    /// Which edition.
    pub name: Name,
    /// Why, as a sentence.
    pub why: String,
}

/// What is in force at a site on a day.
#[derive(Clone, Debug)]
pub struct Built {
    /// The tables.
    pub reference: Arc<Reference>,
    /// The editions that each is made of, the ministry's first; nothing of a table that nobody has set.
    pub made_of: BTreeMap<&'static str, Vec<Name>>,
    /// The editions that should be in force and are not.
    pub unread: Vec<Unread>,
}

/// Every edition that a node holds.
#[derive(Clone, Debug, Default)]
pub struct Book(BTreeMap<(String, Site), BTreeMap<Name, Edition>>);

/// A site and those above it, the highest first.
pub fn chain(site: Site) -> Vec<Site> {
    let mut chain: Vec<Site> = std::iter::once(site).chain(site.superiors()).collect();
    chain.reverse();
    chain
}

fn tier_word(tier: Tier) -> &'static str {
    match tier {
        Tier::Ministry => "the ministry",
        Tier::Province => "a province",
        Tier::City => "a city",
        Tier::Office => "an office",
    }
}

impl Book {
    /// Of these; of an edition that two documents tell, one.
    pub fn of(editions: impl IntoIterator<Item = Edition>) -> Book {
        let mut book = Book::default();
        editions.into_iter().for_each(|edition| book.add(edition));
        book
    }

    /// The same with a further edition, whatever would come of it.
    pub fn with(&self, edition: Edition) -> Book {
        let mut book = self.clone();
        book.add(edition);
        book
    }

    fn add(&mut self, edition: Edition) {
        let of = self.0.entry((edition.table.clone(), edition.site())).or_default();
        of.insert(edition.name.clone(), edition);
    }

    /// A site's editions of a table, in order; those that were taken back too.
    pub fn editions(&self, table: &str, site: Site) -> impl DoubleEndedIterator<Item = &Edition> {
        self.0.get(&(table.to_owned(), site)).into_iter().flat_map(BTreeMap::values)
    }

    /// Those whose day has come and that were not taken back, in order.
    pub fn begun(&self, table: &str, site: Site, day: Date) -> impl DoubleEndedIterator<Item = &Edition> {
        self.editions(table, site).filter(move |e| e.name.from <= day && e.withdrawn.is_none())
    }

    /// The number of a site's next edition of a table.
    pub fn next_number(&self, table: &str, site: Site) -> u32 {
        self.editions(table, site).map(|e| e.name.edition).max().unwrap_or(0).saturating_add(1)
    }

    /// The next day after this one on which something comes into force at a site.
    pub fn next_day(&self, site: Site, after: Date) -> Option<Date> {
        let chain = chain(site);
        let of = self.0.iter().filter(|((_, of), _)| chain.contains(of)).flat_map(|(_, all)| all.values());
        of.filter(|e| e.withdrawn.is_none()).map(|e| e.name.from).filter(|from| *from > after).min()
    }

    /// The tables of a site on a day, made of its own files and those that were compiled in (`base`).
    pub fn build(&self, base: &Arc<Reference>, site: Site, day: Date) -> Built {
        let mut built = Built { reference: base.clone(), made_of: BTreeMap::new(), unread: Vec::new() };
        for policy in IN_ORDER.iter().chain([&TIME_LIMITS]).filter_map(|table| base.policies.get(table)) {
            match base.is_own(policy.table) {
                true => self.shadow(&mut built, policy, site, day),
                false if policy.table == TIME_LIMITS => {}
                false => chain(site).into_iter().for_each(|of| self.lay(&mut built, policy, of, day)),
            }
        }
        if let Some(policy) = base.policies.get(TIME_LIMITS).filter(|_| !base.is_own(TIME_LIMITS)) {
            let set = self.limits(policy, (site, day), &mut built.unread);
            let of_chain = chain(site).into_iter().filter_map(|site| in_force(set.get(&site)?, day));
            let made_of: Vec<Name> = of_chain.map(|(name, _)| name.clone()).collect();
            if !made_of.is_empty() {
                built.made_of.insert(policy.table, made_of);
            }
            if !set.is_empty() {
                Arc::make_mut(&mut built.reference).put_limits(held(&set, &base.limits));
            }
        }
        built
    }

    /// Notes what has no effect here because a file of the operator's own goes before it.
    fn shadow(&self, built: &mut Built, policy: &Policy, site: Site, day: Date) {
        for edition in chain(site).into_iter().filter_map(|of| self.begun(policy.table, of, day).next_back())
        {
            let why = format!("DIR/reference/{}.csv goes before it; move that file away", policy.table);
            built.unread.push(Unread { table: policy.table.to_owned(), name: edition.name.clone(), why });
        }
    }

    /// Lays what one site has set of a table upon what is there.
    fn lay(&self, built: &mut Built, policy: &Policy, site: Site, day: Date) {
        let begun: Vec<&Edition> = match policy.how {
            How::Years => self.begun(policy.table, site, day).collect(),
            How::Replace | How::Add | How::Tighten => self.begun(policy.table, site, day).rev().collect(),
        };
        for edition in begun {
            let why = match may(policy, site) {
                Err(why) => why,
                Ok(()) => {
                    let before = built.reference.text(policy.table).unwrap_or_default();
                    let text = laid(policy, site, before, &edition.rows);
                    match Arc::make_mut(&mut built.reference).put(policy.table, file(edition), text) {
                        Ok(()) => {
                            built.made_of.entry(policy.table).or_default().push(edition.name.clone());
                            match policy.how {
                                How::Years => continue,
                                How::Replace | How::Add | How::Tighten => return,
                            }
                        }
                        Err(error) => error.to_string(),
                    }
                }
            };
            built.unread.push(Unread { table: policy.table.to_owned(), name: edition.name.clone(), why });
        }
    }

    /// The limits of every site that has set any, whatever their day: an old ticket keeps what was in force on its own. Of those that
    /// do not read, the ones that should hold at this site on this day are noted.
    fn limits(
        &self,
        policy: &Policy,
        (here, day): (Site, Date),
        unread: &mut Vec<Unread>,
    ) -> BTreeMap<Site, Vec<(Name, Vec<Limit>)>> {
        let holds_here = chain(here);
        let mut set: BTreeMap<Site, Vec<(Name, Vec<Limit>)>> = BTreeMap::new();
        for ((_, site), editions) in self.0.iter().filter(|((table, _), _)| table == policy.table) {
            for edition in editions.values().filter(|e| e.withdrawn.is_none()) {
                match may(policy, *site).and_then(|()| limits_of(edition)) {
                    Ok(rows) => set.entry(*site).or_default().push((edition.name.clone(), rows)),
                    Err(why) if holds_here.contains(site) && edition.name.from <= day => {
                        let (table, name) = (policy.table.to_owned(), edition.name.clone());
                        unread.push(Unread { table, name, why });
                    }
                    Err(_) => {}
                }
            }
        }
        set
    }
}

fn may(policy: &Policy, site: Site) -> Result<(), String> {
    let tiers: Vec<&str> = policy.tiers.iter().map(|tier| tier_word(*tier)).collect();
    match policy.may(site.tier()) {
        true => Ok(()),
        false => Err(format!(
            "{} may not set {}: {} may",
            tier_word(site.tier()),
            policy.table,
            tiers.join(" or ")
        )),
    }
}

/// What an error says is the file.
fn file(edition: &Edition) -> String {
    format!("{}.csv of {}", edition.table, edition.name)
}

/// A table with an edition of a site upon it.
fn laid(policy: &Policy, site: Site, before: &str, rows: &str) -> String {
    match policy.how {
        How::Years => with_years(before, rows, &policy.key),
        How::Add if site != Site::MINISTRY => added(before, rows, &policy.key),
        How::Add | How::Replace | How::Tighten => rows.to_owned(),
    }
}

/// The rows of an edition of time limits.
fn limits_of(edition: &Edition) -> Result<Vec<Limit>, String> {
    let rows = Limits::edition(&edition.name.to_string(), file(edition), edition.rows.clone())
        .map_err(|error| error.to_string())?;
    if edition.site() == Site::MINISTRY && !rows.iter().any(|row| row.holds_for().is_empty()) {
        return Err(format!("{} has no row that holds for everything", file(edition)));
    }
    Ok(rows)
}

/// The edition in force on a day.
fn in_force(set: &[(Name, Vec<Limit>)], day: Date) -> Option<&(Name, Vec<Limit>)> {
    set.iter().rev().find(|(name, _)| name.from <= day)
}

/// What holds at each site that has set limits, from every day on which something changes there.
fn held(set: &BTreeMap<Site, Vec<(Name, Vec<Limit>)>>, base: &Limits) -> BTreeMap<Site, Vec<Held>> {
    let of_site = |site: &Site| {
        let chain: Vec<&Vec<(Name, Vec<Limit>)>> =
            chain(*site).into_iter().filter_map(|site| set.get(&site)).collect();
        let days: BTreeSet<Date> =
            chain.iter().flat_map(|all| all.iter().map(|(name, _)| name.from)).collect();
        let held = |day: Date| {
            let (mut names, mut tiers) = (Vec::new(), Vec::new());
            if set.get(&Site::MINISTRY).and_then(|all| in_force(all, day)).is_none() {
                names.push(BUILT_IN.to_owned());
                tiers.push(base.version(BUILT_IN));
            }
            for (name, rows) in chain.iter().filter_map(|all| in_force(all, day)) {
                names.push(name.to_string());
                tiers.push(rows.clone());
            }
            Held { from: day, name: names.join(" + "), tiers }
        };
        (*site, days.into_iter().map(held).collect())
    };
    set.keys().map(of_site).collect()
}

/// Whether a site may set this edition beside those that are here; why not, and what to do then, otherwise.
pub fn check(book: &Book, base: &Reference, edition: &Edition) -> Result<(), (String, &'static str)> {
    let (site, day) = (edition.site(), edition.name.from);
    let Some(policy) = base.policies.get(&edition.table) else {
        let known: Vec<&str> = base.policies.iter().map(|policy| policy.table).collect();
        return Err((
            format!("`{}` is no table that is set: {} are", edition.table, known.join(", ")),
            "`hotline policy list` tells what each holds",
        ));
    };
    may(policy, site).map_err(|why| (why, "propose it to the tier that may"))?;
    // The text is judged against what was compiled in and set: a file of the operator's own is no rule for others.
    let built = book.with(edition.clone()).build(Reference::built_in(), site, day);
    let mend = "mend the file; nothing was set";
    if let Some(unread) = built.unread.into_iter().find(|unread| unread.name == edition.name) {
        return Err((unread.why, mend));
    }
    match policy.how {
        How::Years if Rows::of(&edition.rows).years(&policy.key).is_empty() => {
            Err((format!("{} names no day", file(edition)), mend))
        }
        How::Add if site != Site::MINISTRY => {
            let above = site.superior().map(|above| book.build(Reference::built_in(), above, day));
            let above =
                above.as_ref().and_then(|above| above.reference.text(policy.table)).unwrap_or_default();
            match Rows::of(&edition.rows).standing_in(&Rows::of(above), &policy.key).first() {
                Some(line) => Err((
                    format!("{}, line {line}: a tier above has this row already", file(edition)),
                    "a lower tier adds rows and changes none: leave the row out",
                )),
                None => Ok(()),
            }
        }
        How::Tighten => {
            tightens(book, edition).map_err(|why| (why, "a lower tier may promise more, and never less"))
        }
        How::Years | How::Add | How::Replace => Ok(()),
    }
}

/// Whether every row is as short as what holds of its matter above.
fn tightens(book: &Book, edition: &Edition) -> Result<(), String> {
    let Some(above) = edition.site().superior() else { return Ok(()) };
    let built = book.build(Reference::built_in(), above, edition.name.from);
    let limits = &built.reference.limits;
    let held = limits.on(above, edition.name.from);
    let of = |matter: Matter<'_>| match held {
        Some(held) => held.of(matter),
        None => limits.of(BUILT_IN, matter),
    };
    for row in limits_of(edition)? {
        if let Some((above, why)) = of(row.matter()).and_then(|above| Some((above, row.loosens(above)?))) {
            let matter = match row.holds_for() {
                all if all.is_empty() => "everything".to_owned(),
                matter => matter,
            };
            return Err(format!("{}, row for {matter}: {why} of {}", file(edition), above.version()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edition(table: &str, by: &str, number: u32, from: &str, rows: &str) -> Edition {
        let name = Name {
            from: from.parse().unwrap(),
            edition: number,
            node: by.parse().unwrap(),
            at: "2026-11-30T09:00:00+08:00".to_owned(),
        };
        Edition {
            name,
            table: table.to_owned(),
            user: None,
            basis: "a test".to_owned(),
            note: String::new(),
            withdrawn: None,
            rows: rows.to_owned(),
        }
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn site(text: &str) -> Site {
        text.parse().unwrap()
    }

    fn built(editions: &[Edition], at: &str, on: &str) -> Built {
        Book::of(editions.to_vec()).build(Reference::built_in(), site(at), day(on))
    }

    const LIMITS: &str = "business,domain,topic,urgency,amount,unit,basis\n";

    fn limits(by: &str, number: u32, from: &str, rows: &str) -> Edition {
        edition(TIME_LIMITS, by, number, from, &format!("{LIMITS}{rows}"))
    }

    const COMPLAINT: Matter<'_> =
        Matter { business: "投诉举报", domain: "D03", topic: "D0301", urgency: "" };

    fn complaint(built: &Built, of: &str, on: &str) -> Option<(String, String)> {
        let held = built.reference.limits.on(site(of), day(on))?;
        let limit = held.of(COMPLAINT)?;
        Some((held.name.clone(), format!("{} {}", limit.amount(), limit.unit())))
    }

    #[test]
    fn limits_follow_the_day_and_the_tier_and_the_shorter_one_counts() {
        let all = [
            limits("000000", 1, "2027-01-01", "投诉举报,,,,8,working days,a\n,,,,5,working days,a\n"),
            limits("370000", 1, "2027-02-01", "投诉举报,,,,6,working days,b\n"),
            limits("370100", 1, "2026-12-01", "投诉举报,,,,9,working days,c\n,,,,40,hours,c\n"),
        ];
        let built = built(&all, "370100", "2027-01-15");
        let of = |of: &str, on: &str| complaint(&built, of, on).unwrap_or_default();
        let said = |name: &str, limit: &str| (name.to_owned(), limit.to_owned());
        assert_eq!(complaint(&built, "510100", "2026-12-31"), None, "nothing was set yet");
        assert_eq!(of("510100", "2027-03-01"), said("000000 2027-01-01 #1", "8 working days"));
        assert_eq!(of("370200", "2027-01-31"), said("000000 2027-01-01 #1", "8 working days"));
        assert_eq!(
            of("370200-01", "2027-02-01"),
            said("000000 2027-01-01 #1 + 370000 2027-02-01 #1", "6 working days")
        );
        assert_eq!(of("370100", "2026-12-01"), said("built-in 1 + 370100 2026-12-01 #1", "9 working days"));
        let (name, limit) = of("370100", "2027-01-01");
        assert_eq!(name, "000000 2027-01-01 #1 + 370100 2026-12-01 #1");
        assert_eq!(limit, "8 working days", "what has become longer than the ministry's has no effect");
        let held = built.reference.limits.on(site("370100"), day("2027-03-01")).unwrap();
        assert_eq!(held.of(Matter::default()).unwrap().amount(), 5, "hours are no working days");
        let names =
            |on: &str| Book::of(all.to_vec()).build(Reference::built_in(), site("370100"), day(on)).made_of;
        assert_eq!(names("2027-02-01")[TIME_LIMITS].len(), 3);
        assert_eq!(names("2026-11-30"), BTreeMap::new());
        assert_ne!(built.reference.rules, Reference::built_in().rules, "deadlines are computed anew");
    }

    #[test]
    fn a_row_that_names_more_does_not_loosen_what_names_less() {
        // By itself the topic's row would go before the one of the business, which is shorter.
        let city = limits("370100", 1, "2027-01-01", ",,D0301,,4,working days,a\n");
        let built = built(&[city], "370100", "2027-01-02");
        let held = built.reference.limits.on(site("370100"), day("2027-01-02")).unwrap();
        let of = |business| held.of(Matter { business, ..COMPLAINT }).unwrap().amount();
        assert_eq!((of("信息咨询"), of("投诉举报")), (1, 4));
    }

    #[test]
    fn a_lower_tier_that_loosens_is_told_so() {
        let refused =
            |edition: Edition| check(&Book::default(), Reference::built_in(), &edition).unwrap_err().0;
        let why = refused(limits("370000", 1, "2027-01-01", "投诉举报,,,,12,working days,a\n"));
        assert_eq!(
            why,
            "time_limits.csv of 370000 2027-01-01 #1, row for 投诉举报: 12 working days is longer than 10 working days of \
             built-in 1"
        );
        let why = refused(limits("370000", 1, "2027-01-01", "投诉举报,,,,72,hours,a\n"));
        assert!(why.contains("use the same unit"), "{why}");
        let why = refused(limits("000000", 1, "2027-01-01", "投诉举报,,,,12,working days,a\n"));
        assert!(why.contains("no row that holds for everything"), "{why}");
        let why = refused(edition("holidays", "370000", 1, "2027-01-01", "date,kind,name\n"));
        assert!(why.contains("a province may not set holidays: the ministry may"), "{why}");
        let why = refused(edition("weather", "000000", 1, "2027-01-01", ""));
        assert!(why.contains("no table that is set"), "{why}");
        let why = refused(edition("holidays", "000000", 1, "2027-01-01", "date,kind,name\n"));
        assert!(why.contains("names no day"), "{why}");
        let why = refused(edition(
            "redirects",
            "370100",
            1,
            "2027-01-01",
            "number,name,scope,mode\n\n12306,铁路,票,tell\n",
        ));
        assert!(why.contains("line 3: a tier above has this row"), "{why}");
        let fine = limits("370000", 1, "2027-01-01", "投诉举报,,,,10,working days,a\n");
        assert_eq!(check(&Book::default(), Reference::built_in(), &fine), Ok(()));
    }

    #[test]
    fn a_year_of_holidays_is_set_and_the_others_stay() {
        let next =
            edition("holidays", "000000", 1, "2026-11-25", "date,kind,name\n2027-01-01,holiday,元旦\n");
        let again = edition(
            "holidays",
            "000000",
            2,
            "2026-12-01",
            "date,kind,name\n2027-01-01,holiday,元旦\n2027-01-02,holiday,元旦\n",
        );
        let all = [again, next];
        let holiday =
            |on: &str, of: &str| built(&all, "370100", on).reference.calendar.exception(day(of)).is_some();
        assert!(!holiday("2026-11-24", "2027-01-01"));
        assert!(holiday("2026-11-25", "2027-01-01") && !holiday("2026-11-25", "2027-01-02"));
        assert!(holiday("2026-12-01", "2027-01-02") && holiday("2026-12-01", "2026-10-01"));
        let calendar = &built(&all, "370100", "2026-12-01").reference.calendar;
        assert!(calendar.knows(2027) && calendar.knows(2026));
        let made_of = &built(&all, "370100", "2026-12-01").made_of["holidays"];
        assert_eq!(made_of.iter().map(|name| name.edition).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_lower_tier_adds_topics_under_the_domains_above() {
        let own = edition(
            "categories",
            "370000",
            1,
            "2027-01-01",
            "code,parent_code,name,kind\nD0499,D04,机场巴士,topic\n",
        );
        assert_eq!(check(&Book::default(), Reference::built_in(), &own), Ok(()));
        let built = built(&[own], "370100", "2027-01-01");
        let known =
            |built: &Built, code: &str| built.reference.categories.get(&code.parse().unwrap()).is_some();
        assert!(known(&built, "D0499") && known(&built, "D0401"));
        let orphan = edition(
            "categories",
            "370000",
            1,
            "2027-01-01",
            "code,parent_code,name,kind\n\nX0101,X01,机场巴士,topic\n",
        );
        let (why, _) = check(&Book::default(), Reference::built_in(), &orphan).unwrap_err();
        assert_eq!(
            why,
            "categories.csv of 370000 2027-01-01 #1, line 3, column `parent_code`: `X01` is not a domain of this table"
        );
    }

    #[test]
    fn what_does_not_parse_here_leaves_the_one_before_in_force() {
        let good = edition(
            "redirects",
            "000000",
            1,
            "2027-01-01",
            "number,name,scope,mode\n12395,海上,救助,transfer\n",
        );
        let of_later = edition(
            "redirects",
            "000000",
            2,
            "2027-01-02",
            "number,name,scope,mode\n12395,海上,救助,by-video\n",
        );
        let built = built(&[good.clone(), of_later.clone()], "370100", "2027-01-03");
        assert_eq!(built.reference.redirects.iter().count(), 1);
        assert_eq!(built.made_of["redirects"], [good.name]);
        assert_eq!(built.unread.len(), 1);
        assert_eq!(built.unread[0].name, of_later.name);
        assert!(built.unread[0].why.contains("line 2, column `mode`"), "{}", built.unread[0].why);
    }

    #[test]
    fn a_file_of_the_operators_own_goes_before_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("redirects.csv"), "number,name,scope,mode\n110,警,警,transfer\n")
            .unwrap();
        let base = Arc::new(Reference::load(Some(dir.path())).unwrap());
        let set = edition(
            "redirects",
            "000000",
            1,
            "2027-01-01",
            "number,name,scope,mode\n12395,海上,救助,transfer\n",
        );
        let built = Book::of([set]).build(&base, site("370100"), day("2027-01-03"));
        assert!(built.reference.redirects.get("110").is_some() && built.made_of.is_empty());
        assert!(built.reference.is_own("redirects"));
    }

    #[test]
    fn a_division_may_come_and_another_go_though_the_list_of_changes_names_it() {
        let text = Reference::built_in().text("divisions").unwrap();
        let gone: String =
            text.lines().filter(|l| !l.starts_with("630222,")).map(|l| format!("{l}\n")).collect();
        let set = edition("divisions", "000000", 1, "2027-01-01", &gone);
        assert_eq!(check(&Book::default(), Reference::built_in(), &set), Ok(()));
        let built = built(&[set], "370100", "2027-01-01");
        assert!(built.reference.divisions.get("630222".parse().unwrap()).is_none());
    }

    #[test]
    fn the_next_day_is_the_next_on_which_something_begins_here() {
        let mut back = limits("000000", 2, "2027-01-05", ",,,,5,working days,a\n");
        back.withdrawn = Some(super::super::Withdrawn {
            at: "2027-01-01T00:00:00+08:00".into(),
            node: "000000".parse().unwrap(),
            user: None,
        });
        let book = Book::of([
            back,
            limits("000000", 1, "2027-01-10", ",,,,5,working days,a\n"),
            limits("510000", 1, "2027-01-07", ",,,,5,working days,a\n"),
        ]);
        let next = |on: &str| book.next_day(site("370100"), day(on));
        assert_eq!((next("2027-01-01"), next("2027-01-10")), (Some(day("2027-01-10")), None));
        assert_eq!(
            (book.next_number(TIME_LIMITS, site("000000")), book.next_number(TIME_LIMITS, site("370000"))),
            (3, 1)
        );
    }
}
