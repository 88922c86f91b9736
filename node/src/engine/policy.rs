//! Rules of a node: set, taken back, shown; and the tables that are in force, made anew when an edition comes or its day does.

use std::sync::Arc;

use certs::Site;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};
use sync::id::DocId;
use sync::store::Store;

use super::{Engine, shown_time};
use crate::china;
use crate::policy::request::PolicyRequest;
use crate::policy::{
    Book, Built, Edition, IN_ORDER, MAX_BASIS, MAX_LINES, MAX_NOTE, MAX_TABLE, Name, TIME_LIMITS, Withdrawn,
    chain, check, creation, differences, last_year, rows, telling, withdrawal,
};
use crate::reference::{BUILT_IN, CategoryCode, CategoryKind, Held, How, InForce, Reference};
use crate::request::{Failure, FailureKind, Reply};
use crate::ticket::entry::MAX_NAME;

/// The day for which the tables were made last.
const DAY: &str = "day of the tables";

/// How far ahead a rule is set, in years.
const AHEAD: i64 = 10;

/// What is in force at a node, and until when.
#[derive(Debug)]
pub(super) struct Tables {
    /// Those that were compiled in, and the operator's own.
    base: Arc<Reference>,
    /// Shared with whoever reads.
    shared: InForce,
    book: Book,
    built: Built,
    /// For which day.
    day: Date,
    /// The next day on which something comes into force.
    next: Option<Date>,
    /// What is known of editions is not what is stored.
    stale: bool,
}

impl Tables {
    /// Before anything is known of editions.
    pub(super) fn of(base: Arc<Reference>) -> Tables {
        let (book, day) = (Book::default(), Date::MIN);
        let built = Built { reference: base.clone(), made_of: Default::default(), unread: Vec::new() };
        Tables { shared: InForce::new(base.clone()), base, book, built, day, next: None, stale: true }
    }

    /// What is committed is what others read by.
    pub(super) fn publish(&self) {
        if !Arc::ptr_eq(&self.shared.now(), &self.built.reference) {
            self.shared.put(self.built.reference.clone());
        }
    }

    /// They are read anew at the next opportunity.
    pub(super) fn spoil(&mut self) {
        self.stale = true;
    }
}

/// A day as it is asked for.
fn day_of(text: &str) -> Result<Date, Failure> {
    let shown: String = text.chars().take(20).collect();
    text.parse()
        .map_err(|e| Failure::usage(format!("`{shown}` is no day")).because(e).hint("as in 2027-01-01"))
}

/// Whether a table program that opens the table as a file would compute what stands in a field.
fn is_formula(field: &str) -> bool {
    let mut chars = field.trim().chars();
    match chars.next() {
        Some('=' | '+' | '@') => true,
        Some('-') => chars.next().is_some_and(|c| !c.is_ascii_digit()),
        _ => false,
    }
}

/// A short text of a person: no longer than `most` bytes, and a line.
fn line(what: &str, text: &str, most: usize) -> Result<String, Failure> {
    let text = text.trim();
    match text.len() > most || text.contains(char::is_control) {
        true => Err(Failure::usage(format!("{what} is one line of at most {most} bytes"))),
        false => Ok(text.to_owned()),
    }
}

impl Engine {
    /// The tables that are in force, for whoever reads beside the engine.
    pub fn in_force(&self) -> &InForce {
        &self.tables.shared
    }

    /// The day for which tables are made: by the own clock, and while that is in doubt none before the last.
    fn today(&self) -> Date {
        let today = china::today(self.now);
        if self.clock.doubt().is_some() { today.max(self.tables.day) } else { today }
    }

    /// Makes the tables anew if an edition has come, or a day on which one takes effect. Only such a day is written down: whoever
    /// reads after a commit that failed must not have to write, for the disk may be full.
    pub(super) fn take_tables(&mut self) -> Result<(), Failure> {
        self.tables.stale |= std::mem::take(&mut self.desk.policies);
        let begins = |next: Option<Date>, today| next.is_some_and(|next| next <= today);
        if self.tables.stale && self.tables.day == Date::MIN {
            let stored = self.store.meta(DAY)?.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
            self.tables.day = stored.unwrap_or(Date::MIN);
        }
        let today = self.today();
        if !self.tables.stale && self.tables.day <= today && !begins(self.tables.next, today) {
            return Ok(());
        }
        let me = self.me().site();
        let book = Book::of(rows::editions(self.store.connection(), &chain(me), TIME_LIMITS)?);
        let moved = self.tables.day > today || begins(book.next_day(me, self.tables.day), today);
        let day = if moved { today } else { self.tables.day };
        self.make_tables(book, day);
        self.rules_changed()?;
        if moved {
            self.store.put_meta(DAY, today.to_string().as_bytes())?;
        }
        Ok(())
    }

    fn make_tables(&mut self, book: Book, day: Date) {
        let me = self.me().site();
        self.tables.built = book.build(&self.tables.base, me, day);
        self.tables.next = book.next_day(me, day);
        (self.tables.book, self.tables.day, self.tables.stale) = (book, day, false);
        for unread in &self.tables.built.unread {
            tracing::warn!(edition = %unread.name, table = unread.table, why = unread.why, "a rule is not in force");
        }
        self.desk.reference = self.tables.built.reference.clone();
        self.reference = self.tables.built.reference.clone();
    }

    pub(super) fn policy(&mut self, request: &PolicyRequest) -> Reply {
        use PolicyRequest as R;
        match request {
            R::List { table, all } => self.list_policies(table.as_deref(), *all),
            R::Show { table, on, edition, to_edit } => {
                self.show_policy(table, on.as_deref(), *edition, *to_edit)
            }
            R::Set { table, rows, from, basis, note, try_only, user } => {
                let edition = self.proposed(table, rows, from, [basis, note], user.as_deref())?;
                self.set_policy(edition, *try_only)
            }
            R::Withdraw { table, edition, user } => self.withdraw_policy(table, *edition, user.as_deref()),
            R::Diff { table, from, to, rows } => self.compare_policies(table, *from, *to, rows.as_deref()),
            R::InForce {} => {
                let made_of = &self.tables.built.made_of;
                let made = IN_ORDER.into_iter().filter_map(|table| Some((table, made_of.get(table)?)));
                let table = |(table, names): (&str, &Vec<Name>)| json!({ "table": table, "file": said(names), "rows": self.reference.text(table) });
                Ok(json!({ "tables": made.map(table).collect::<Vec<_>>() }))
            }
        }
    }

    /// How many editions are here, and which of them should be in force and are not.
    pub(super) fn policy_status(&self) -> Value {
        let Tables { built, next, .. } = &self.tables;
        let unread: Vec<Value> = built
            .unread
            .iter()
            .map(|u| json!({ "table": u.table, "edition": u.name.to_string(), "why": u.why }))
            .collect();
        let in_force: usize = built.made_of.values().map(Vec::len).sum();
        json!({ "in_force": in_force, "next": next, "not_read": unread })
    }

    fn list_policies(&mut self, only: Option<&str>, all: bool) -> Reply {
        let (me, today) = (self.me().site(), self.today());
        self.known(only)?;
        let sites = chain(me);
        let tables = self.tables.base.policies.iter().filter(|p| only.is_none_or(|only| only == p.table));
        let tables = tables.map(|policy| {
            let editions = sites.iter().flat_map(|site| self.tables.book.editions(policy.table, *site));
            let shown = editions.map(|e| self.edition_shown(e, today));
            let shown: Vec<Value> = shown.filter(|e| all || e["standing"] != "past").collect();
            json!({
                "table": policy.table, "may": policy.may(me.tier()), "how": policy.how.word(), "basis": policy.basis,
                "tiers": policy.tier_names(), "key": policy.key,
                "own": self.tables.base.is_own(policy.table), "editions": shown,
            })
        });
        Ok(json!({ "day": today, "site": me, "tables": tables.collect::<Vec<_>>() }))
    }

    /// An edition without its rows, and how it stands.
    fn edition_shown(&self, edition: &Edition, today: Date) -> Value {
        let built = &self.tables.built;
        let unread = built.unread.iter().find(|u| u.name == edition.name && u.table == edition.table);
        let in_force =
            built.made_of.get(edition.table.as_str()).is_some_and(|all| all.contains(&edition.name));
        let standing = match (&edition.withdrawn, unread, in_force) {
            (Some(_), ..) => "withdrawn",
            (None, Some(_), _) => "not read",
            (None, None, true) => "in force",
            (None, None, false) if edition.name.from > today => "coming",
            (None, None, false) => "past",
        };
        json!({
            "name": edition.name.to_string(), "site": edition.site(), "edition": edition.name.edition, "from": edition.name.from,
            "node": edition.name.node, "at": edition.name.at, "user": edition.user, "basis": edition.basis, "note": edition.note,
            "lines": edition.rows.lines().filter(|line| !line.is_empty()).count().saturating_sub(1),
            "standing": standing, "why": unread.map(|u| u.why.as_str()), "withdrawn": edition.withdrawn,
        })
    }

    fn known(&self, table: Option<&str>) -> Result<(), Failure> {
        let policies = &self.tables.base.policies;
        match table.filter(|table| policies.get(table).is_none()) {
            None => Ok(()),
            Some(table) => {
                let table: String = table.chars().take(40).collect();
                let known: Vec<&str> = policies.iter().map(|policy| policy.table).collect();
                Err(Failure::new(FailureKind::Absent, format!("`{table}` is no table that is set"))
                    .hint(format!("tables are {}", known.join(", "))))
            }
        }
    }

    fn own_edition(&self, table: &str, number: u32) -> Result<Edition, Failure> {
        let me = self.me().site();
        let mut found = self.tables.book.editions(table, me).filter(|e| e.name.edition == number);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => Err(Failure::new(
                FailureKind::NeedsPerson,
                format!("two nodes of {me} set edition {number} of {table} without knowing of each other"),
            )
            .hint("the one whose node comes last by name is in force; set a further one that says what both meant")),
            (None, _) => Err(Failure::new(FailureKind::Absent, format!("{me} has set no edition {number} of {table}"))
                .hint("`hotline policy list` tells the editions that are here")),
        }
    }

    fn show_policy(&mut self, table: &str, on: Option<&str>, edition: Option<u32>, to_edit: bool) -> Reply {
        self.known(Some(table))?;
        if let Some(number) = edition {
            let edition = self.own_edition(table, number)?;
            let name = edition.name.to_string();
            return Ok(
                json!({ "table": table, "on": edition.name.from, "made_of": [name], "rows": edition.rows }),
            );
        }
        let on = on.map(day_of).transpose()?.unwrap_or_else(|| self.today());
        let me = self.me().site();
        let policy = self.tables.base.policies.get(table).cloned().filter(|_| to_edit);
        // What the tiers above have set stays theirs, and so do the years that nobody is about to change.
        let own = policy.filter(|policy| match policy.how {
            How::Years => true,
            How::Add | How::Tighten => me != Site::MINISTRY,
            How::Replace => false,
        });
        let edition = own.as_ref().and_then(|_| self.tables.book.begun(table, me, on).next_back());
        let (rows, made_of) = match (edition, own) {
            (Some(edition), _) => (edition.rows.clone(), vec![edition.name.clone()]),
            (None, own) => {
                let (rows, made_of) = self.table_on(None, table, on);
                match own {
                    Some(policy) if policy.how == How::Years => (last_year(&rows, &policy.key), Vec::new()),
                    Some(_) => {
                        (rows.lines().take(1).map(|line| line.to_owned() + "\n").collect(), Vec::new())
                    }
                    None => (rows, made_of),
                }
            }
        };
        Ok(json!({
            "table": table, "on": on, "rows": rows,
            "made_of": made_of.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))
    }

    /// The text of a table on a day by what a book says, without one by what is known here, and what it is made of. Of time limits the
    /// version is left out.
    fn table_on(&self, book: Option<&Book>, table: &str, on: Date) -> (String, Vec<Name>) {
        let me = self.me().site();
        let made;
        let built = match book {
            None if on == self.tables.day => &self.tables.built,
            book => {
                made = book.unwrap_or(&self.tables.book).build(&self.tables.base, me, on);
                &made
            }
        };
        let made_of = built.made_of.get(table).cloned().unwrap_or_default();
        if table != TIME_LIMITS || self.tables.base.is_own(table) {
            return (built.reference.text(table).unwrap_or_default().to_owned(), made_of);
        }
        let limits = &built.reference.limits;
        let rows = limits.on(me, on).map_or_else(|| limits.version(BUILT_IN), Held::rows);
        let mut text = "business,domain,topic,urgency,amount,unit,basis,longest\n".to_owned();
        for limit in rows {
            let m = limit.matter();
            let fields = [m.business, m.domain, m.topic, m.urgency].join(",");
            let longest = limit.longest().map(|longest| longest.to_string()).unwrap_or_default();
            let (amount, unit, basis) = (limit.amount(), limit.unit(), limit.basis());
            text.push_str(&format!("{fields},{amount},{unit},{basis},{longest}\n"));
        }
        (text, made_of)
    }

    /// What is to be set, checked but for its rows.
    fn proposed(
        &self,
        table: &str,
        rows: &str,
        from: &str,
        [basis, note]: [&str; 2],
        user: Option<&str>,
    ) -> Result<Edition, Failure> {
        let (today, from) = (self.today(), day_of(from)?);
        self.known(Some(table))?;
        if from < today {
            return Err(Failure::usage(format!("{from} is over: a rule takes effect today at the earliest"))
                .hint("what was decided for earlier days is followed ticket by ticket: extensions and notes say so"));
        }
        if today.checked_add(AHEAD.years()).is_ok_and(|last| from > last) {
            return Err(Failure::usage(format!("{from} is more than {AHEAD} years ahead")));
        }
        let (basis, note) = (line("the basis", basis, MAX_BASIS)?, line("the note", note, MAX_NOTE)?);
        if basis.is_empty() {
            return Err(Failure::usage("a rule rests on something: the number of a document, or a reason")
                .hint("--basis TEXT"));
        }
        if rows.len() > MAX_TABLE {
            return Err(Failure::usage(format!(
                "the table has {} bytes, and may have {MAX_TABLE}",
                rows.len()
            )));
        }
        if rows.lines().count() > MAX_LINES {
            return Err(Failure::usage(format!("the table has more than {MAX_LINES} lines")));
        }
        let mut rows = rows.strip_prefix('\u{feff}').unwrap_or(rows).replace("\r\n", "\n");
        if let Some((_, line)) = rows.lines().zip(1..).find(|(text, _)| text.contains('\u{fffd}')) {
            return Err(Failure::usage(format!("line {line} holds characters that were lost on the way"))
                .hint("the file was not UTF-8; save it as UTF-8 and not as GBK"));
        }
        if let Some((_, line)) = rows.lines().zip(1..).find(|(text, _)| text.split(',').any(is_formula)) {
            return Err(Failure::usage(format!(
                "line {line} has a field that a table program would take for a formula"
            ))
            .hint("no field begins with = + @ or with - before anything but a digit"));
        }
        self.known_columns(table, &rows, from)?;
        self.known_matters(table, &rows, from)?;
        if !rows.ends_with('\n') {
            rows.push('\n');
        }
        let me = self.me();
        let edition = self.tables.book.next_number(table, me.site());
        let name = Name { from, edition, node: me, at: shown_time(self.now) };
        let user = user.map(|user| line("the user", user, MAX_NAME)).transpose()?;
        Ok(Edition { name, table: table.to_owned(), user, basis, note, withdrawn: None, rows })
    }

    /// A column that nobody reads is a slip of somebody's finger: what stands in it would be as if it were not said.
    fn known_columns(&self, table: &str, rows: &str, on: Date) -> Result<(), Failure> {
        let (standing, _) = self.table_on(None, table, on);
        let known =
            [standing.as_str(), self.tables.base.text(table).unwrap_or_default()].map(columns).concat();
        match columns(rows).into_iter().find(|column| !known.contains(column)) {
            None => Ok(()),
            Some(column) => Err(Failure::usage(format!("line 1: {table} has no column `{column}`"))
                .hint(format!("it has {}; nothing was set", columns(&standing).join(", ")))),
        }
    }

    /// A row about a domain or a topic that there is not concerns no ticket.
    fn known_matters(&self, table: &str, rows: &str, on: Date) -> Result<(), Failure> {
        if table == "categories" {
            return Ok(());
        }
        let built = self.tables.book.build(&self.tables.base, self.me().site(), on);
        let categories = &built.reference.categories;
        let is = |code: &CategoryCode, domain: bool| {
            categories.get(code).is_some_and(|found| (*found.kind() == CategoryKind::Domain) == domain)
        };
        for (at, column) in columns(rows).into_iter().enumerate() {
            let domain = column == "domain";
            if !domain && column != "topic" {
                continue;
            }
            for (line, row) in (1..).zip(rows.lines()).skip(1) {
                let code = row.split(',').nth(at).unwrap_or_default().trim();
                if code.parse().is_ok_and(|code| !is(&code, domain)) {
                    return Err(Failure::usage(format!(
                        "line {line}, column `{column}`: there is no {column} `{code}`"
                    ))
                    .hint("`hotline policy show categories` has all of them; nothing was set"));
                }
            }
        }
        Ok(())
    }

    fn set_policy(&mut self, edition: Edition, try_only: bool) -> Reply {
        if self.clock.doubt().is_some() {
            return Err(Failure::new(FailureKind::NeedsPerson, "this machine's date is in doubt")
                .hint("look at the date, then: `hotline replica confirm-clock`"));
        }
        check(&self.tables.book, &self.tables.base, &edition)
            .map_err(|(why, hint)| Failure::new(FailureKind::Failed, why).hint(hint))?;
        let entries = telling(&edition).ok_or_else(|| {
            Failure::new(FailureKind::Failed, "a line, or the table, is longer than its entries may be")
        })?;
        let (table, from, today) = (edition.table.clone(), edition.name.from, self.today());
        let (before, _) = self.table_on(None, &table, from);
        let (after, _) = self.table_on(Some(&self.tables.book.with(edition.clone())), &table, from);
        if !try_only {
            let doc = self.policy_document(&table)?;
            self.enter_rules(doc, entries)?;
        }
        let difference = differences(&before, &after);
        let mut shown = self.edition_shown(&edition, today);
        if try_only {
            shown["standing"] = "not set".into();
        }
        Ok(json!({ "edition": shown, "gone": difference.gone, "come": difference.come }))
    }

    /// The document of this site's editions of a table, which is begun when there is none, or when all that there are have
    /// outgrown what is loaded.
    fn policy_document(&mut self, table: &str) -> Result<DocId, Failure> {
        let me = self.me();
        let known = rows::documents(self.store.connection(), me.site(), table)?;
        for doc in known.iter().copied() {
            if self.store.document(&doc)?.is_some_and(|row| !row.frozen) {
                return Ok(doc);
            }
        }
        self.begin_trail(creation(me, table, known.len() + 1).to_string().into_bytes())
    }

    /// Enters all of these, or ends the transaction without a trace.
    fn enter_rules(&mut self, doc: DocId, entries: Vec<Value>) -> Result<(), Failure> {
        let mut enter = || {
            entries.iter().try_for_each(|entry| self.enter(doc, entry.to_string().as_bytes()))?;
            self.replica.flush(self.now, &mut self.store, &mut self.desk)?;
            self.take_tables()
        };
        enter().inspect_err(|failure: &Failure| {
            let half_way = Failure::new(FailureKind::TryAgain, "nothing was saved: a rule failed half-way");
            self.spoiled = Some(half_way.because(failure));
        })
    }

    fn withdraw_policy(&mut self, table: &str, number: u32, user: Option<&str>) -> Reply {
        self.known(Some(table))?;
        let (edition, today) = (self.own_edition(table, number)?, self.today());
        let named = format!("edition {number} of {table}");
        if edition.withdrawn.is_some() {
            return Err(Failure::new(FailureKind::Failed, format!("{named} was taken back already")));
        }
        if edition.name.from <= today {
            return Err(Failure::new(
                FailureKind::Failed,
                format!("{named} is in force since {}", edition.name.from),
            )
            .hint("what is in force is replaced: set a further edition"));
        }
        if self.clock.doubt().is_some() {
            return Err(Failure::new(FailureKind::NeedsPerson, "this machine's date is in doubt")
                .hint("look at the date, then: `hotline replica confirm-clock`"));
        }
        let by = Withdrawn { at: shown_time(self.now), node: self.me(), user: user.map(str::to_owned) };
        // Where it was told: an edition and its withdrawal are of one document.
        let doc = rows::document_of(self.store.connection(), &edition)?.ok_or_else(|| {
            Failure::new(FailureKind::Failed, format!("{named} is in no document that is here"))
        })?;
        self.enter_rules(doc, vec![withdrawal(&edition.name, &by)])?;
        let edition = self.own_edition(table, number)?;
        Ok(json!({ "edition": self.edition_shown(&edition, today) }))
    }

    fn compare_policies(
        &mut self,
        table: &str,
        from: Option<u32>,
        to: Option<u32>,
        rows: Option<&str>,
    ) -> Reply {
        self.known(Some(table))?;
        let today = self.today();
        let edition = |number: u32| -> Result<(String, String), Failure> {
            let edition = self.own_edition(table, number)?;
            Ok((edition.name.to_string(), edition.rows))
        };
        let in_force = || {
            let (text, names) = self.table_on(None, table, today);
            (said(&names), text)
        };
        let before = from.map_or_else(|| Ok(in_force()), edition)?;
        let after = match (to, rows) {
            (Some(number), None) => edition(number)?,
            (None, Some(rows)) if rows.len() <= MAX_TABLE => {
                let edition =
                    self.proposed(table, rows, &today.to_string(), ["what a file would change", ""], None)?;
                check(&self.tables.book, &self.tables.base, &edition)
                    .map_err(|(why, hint)| Failure::new(FailureKind::Failed, why).hint(hint))?;
                ("the file".to_owned(), self.table_on(Some(&self.tables.book.with(edition)), table, today).0)
            }
            (None, Some(_)) => return Err(Failure::usage(format!("a table has at most {MAX_TABLE} bytes"))),
            (None, None) if from.is_some() => in_force(),
            _ => {
                return Err(Failure::usage(
                    "a table is compared with an edition or with a file, one of them",
                ));
            }
        };
        let found = differences(&before.1, &after.1);
        Ok(
            json!({ "table": table, "before": before.0, "after": after.0, "gone": found.gone, "come": found.come }),
        )
    }
}

/// What a table is made of, in a word.
fn said(names: &[Name]) -> String {
    match names {
        [] => "built-in".to_owned(),
        names => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + "),
    }
}

/// The columns that a table's header names.
fn columns(table: &str) -> Vec<&str> {
    let table = table.strip_prefix('\u{feff}').unwrap_or(table);
    let header = table.lines().find(|line| !line.is_empty()).unwrap_or_default();
    header.split(',').map(str::trim).filter(|column| !column.is_empty()).collect()
}
