//! Queues: which tickets stand in each, in which order, and what narrows a page of one.
//!
//! Each queue has an index that holds its own rows only, so that a page of it costs the same at a million tickets. What narrows a
//! page is compared row by row; the queues that hold everything are looked through so far back only ([`RECENT`]).

use certs::Site;
use rusqlite::{Connection, named_params};
use serde_json::Value;
use sync::store::Result;

use super::{COLUMNS, rows};
use crate::import::Urgency;
use crate::request::{Sift, Sort};

/// All queues: those of [`condition`], and the two that deadlines make.
pub const QUEUES: [&str; 15] = [
    "mine",
    "team",
    "held",
    "to-accept",
    "offered",
    "returned",
    "urged",
    "overdue",
    "due-soon",
    "follow-up",
    "open",
    "closed",
    "confidential",
    "conflicts",
    "all",
];

/// So many of the newest tickets are looked through for a page of everything that is narrowed.
pub const RECENT: i64 = 50_000;

/// What belongs to a queue. The conditions are those of the indexes, word by word.
fn condition(queue: &str) -> Option<&'static str> {
    Some(match queue {
        "all" => "1",
        "mine" => "agent = :user AND agent != '' AND done = 0",
        "team" => "department = :department AND department != ''",
        "held" => "custodian = :me AND done = 0",
        "to-accept" => "offered_to = :me",
        "offered" => "custodian = :me AND offered_to IS NOT NULL",
        "returned" => "custodian = :me AND returns > 0 AND stage != 'closed'",
        "urged" => "urged > 0",
        "follow-up" => "follow_up > 0",
        "open" => "done = 0",
        "closed" => "done = 1",
        "confidential" => "confidential > 0 AND done = 0",
        "conflicts" => "(superseded > 0 OR alarms > 0)",
        _ => return None,
    })
}

/// What a page asks of each row beside its queue's condition, but for words that nobody gave.
const NARROWED: &str = "
  AND (:business IS NULL OR business = :business) AND (:domain IS NULL OR domain = :domain) AND (:topic IS NULL OR topic = :topic)
  AND (:channel IS NULL OR channel = :channel) AND (:urgency IS NULL OR urgency = :urgency)
  AND (:first IS NULL OR day >= :first) AND (:last IS NULL OR day <= :last)
  AND (:centres IS NULL OR centre = '' OR instr(:centres, ' ' || centre || ' ') > 0)";

/// Every word that a statement may hold has a value, so that all of them are bound in one way.
const BOUND: &str = "AND :me = :me AND coalesce(:user, '') = coalesce(:user, '') AND coalesce(:department, '') = coalesce(:department, '')
  AND coalesce(:from, '') = coalesce(:from, '') AND coalesce(:to, '') = coalesce(:to, '')";

fn statement(condition: &str, sort: Sort, recent: bool) -> String {
    let (after, order) = match sort {
        Sort::Newest => ("row < coalesce(:after, 9223372036854775807)", "row DESC"),
        Sort::Oldest => ("row > coalesce(:after, 0)", "row"),
        Sort::Due => {
            ("(:after IS NULL OR (due, row) > (SELECT due, row FROM ticket WHERE row = :after))", "due, row")
        }
    };
    let recent = match recent {
        true => format!("AND row > (SELECT coalesce(max(row), 0) FROM ticket) - {RECENT}"),
        false => String::new(),
    };
    format!(
        "SELECT {COLUMNS} FROM ticket WHERE {condition} AND {after} {recent} {NARROWED} {BOUND} ORDER BY {order} LIMIT :limit"
    )
}

/// Whether a page of this queue looks through the newest tickets only.
pub fn is_recent(queue: &str, sift: &Sift) -> bool {
    matches!(queue, "all" | "closed" | "conflicts") && sift.narrows()
}

/// A page of a queue, after the row at which the page before ended; `None` when there is no such queue.
pub fn list(
    db: &Connection,
    me: Site,
    queue: &str,
    sift: &Sift,
    limit: usize,
    after: Option<i64>,
) -> Result<Option<Vec<Value>>> {
    let Some(condition) = condition(queue) else { return Ok(None) };
    let sql = match sift.sort {
        // What has ended is due no more.
        Sort::Due => {
            let due = format!("due IS NOT NULL AND done = 0 AND {condition}");
            statement(&due, Sort::Due, is_recent(queue, sift))
        }
        sort => statement(condition, sort, is_recent(queue, sift)),
    };
    page(db, &sql, me, sift, ("", ""), limit, after).map(Some)
}

/// Open tickets whose deadline lies between two moments, the first to end first; after the row at which the page before ended.
/// Moments as [`crate::china::shown`] writes them.
pub fn due_between(
    db: &Connection,
    me: Site,
    between: (&str, &str),
    sift: &Sift,
    limit: usize,
    after: Option<i64>,
) -> Result<Vec<Value>> {
    page(db, &due_statement(), me, sift, between, limit, after)
}

fn due_statement() -> String {
    let due = "due IS NOT NULL AND done = 0 AND due >= :from AND due < :to";
    statement(due, Sort::Due, false)
}

fn page(
    db: &Connection,
    sql: &str,
    me: Site,
    sift: &Sift,
    (from, to): (&str, &str),
    limit: usize,
    after: Option<i64>,
) -> Result<Vec<Value>> {
    let centres = sift.centres.as_ref().map(|all| {
        let names: Vec<String> = all.iter().map(|site| format!(" {site} ")).collect();
        names.concat()
    });
    // The ordinary urgency stands in no row.
    let urgency = sift.urgency.as_deref().map(|u| if u == Urgency::Ordinary.word() { "" } else { u });
    let values = named_params! {
        ":me": me.to_string(), ":user": sift.user, ":department": sift.department, ":business": sift.business,
        ":domain": sift.domain, ":topic": sift.topic, ":channel": sift.channel, ":urgency": urgency,
        ":first": sift.first, ":last": sift.last, ":centres": centres, ":from": from, ":to": to, ":after": after,
        ":limit": limit as i64,
    };
    rows(db, sql, values)
}

/// How many open tickets are past their deadline, counted up to `most`.
pub fn overdue(db: &Connection, now: &str, most: usize) -> Result<u64> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM ticket WHERE due IS NOT NULL AND done = 0 AND due < ?1 LIMIT ?2)";
    Ok(db.prepare_cached(sql)?.query_row((now, most as i64), |r| r.get::<_, i64>(0))? as u64)
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::super::tests::with_tickets;
    use super::*;

    #[test]
    fn deadlines_are_listed_by_their_end_and_page_by_page() {
        let db = with_tickets(&[
            ("1", "370100", "in_hand"),
            ("2", "370100", "in_hand"),
            ("3", "370200", "offered"),
            ("4", "370100", "closed"),
            ("5", "370100", "in_hand"),
        ]);
        for (row, due) in [
            (1, Some("2026-11-03")),
            (2, Some("2026-11-02")),
            (3, Some("2026-11-03")),
            (4, Some("2026-11-01")),
        ] {
            db.execute("UPDATE ticket SET due = ?2 WHERE row = ?1", params![row, due]).unwrap();
        }
        let me = "370100".parse().unwrap();
        let listed = |to: &str, limit: usize, after: Option<i64>| -> Vec<i64> {
            let rows = due_between(&db, me, ("", to), &Sift::default(), limit, after).unwrap();
            rows.iter().map(|row| row["row"].as_i64().unwrap()).collect()
        };
        assert_eq!(listed("2026-11-09", 9, None), [2, 1, 3]);
        assert_eq!(listed("2026-11-09", 2, None), [2, 1]);
        assert_eq!(listed("2026-11-09", 2, Some(1)), [3]);
        assert_eq!(listed("2026-11-03", 9, None), [2]);
        assert_eq!((overdue(&db, "2026-11-09", 9).unwrap(), overdue(&db, "2026-11-09", 2).unwrap()), (3, 2));
    }

    /// How a statement is worked on.
    fn plan(db: &Connection, sql: &str) -> Vec<String> {
        let mut query = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        for parameter in 1..=query.parameter_count() {
            query.raw_bind_parameter(parameter, None::<i64>).unwrap();
        }
        let mut rows = query.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get(3).unwrap());
        }
        steps
    }

    #[test]
    fn every_queue_walks_an_index_of_its_own() {
        let db = with_tickets(&[]);
        for (queue, index) in [
            ("mine", "ticket_mine"),
            ("team", "ticket_team"),
            ("held", "ticket_held"),
            ("to-accept", "ticket_offered"),
            ("offered", "ticket_offering"),
            ("returned", "ticket_returned"),
            ("urged", "ticket_urged"),
            ("follow-up", "ticket_follow_up"),
            ("open", "ticket_open"),
            ("closed", "ticket_closed"),
            ("confidential", "ticket_confidential"),
            ("conflicts", "ticket_conflict"),
            ("all", "PRIMARY KEY"),
        ] {
            for sort in [Sort::Newest, Sort::Oldest] {
                let plan = plan(&db, &statement(condition(queue).unwrap(), sort, false));
                assert!(plan.len() == 1 && plan[0].contains(index), "{queue} {sort:?}: {plan:?}");
            }
        }
        for queue in QUEUES.iter().filter(|queue| !matches!(**queue, "overdue" | "due-soon")) {
            assert!(condition(queue).is_some(), "{queue}");
        }
        let plan = plan(&db, &due_statement());
        assert!(plan[0].contains("SEARCH ticket USING INDEX ticket_deadline"), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
    }

    #[test]
    fn rows_of_a_version_whose_indexes_looked_into_a_list_of_stages_are_marked() {
        let db = with_tickets(&[
            ("1", "370100", "in_hand"),
            ("2", "370100", "redirected"),
            ("3", "370100", "offered"),
        ]);
        for index in ["held", "open", "closed", "deadline", "mine", "confidential"] {
            db.execute_batch(&format!("DROP INDEX ticket_{index}")).unwrap();
        }
        let stages = "('closed', 'answered', 'rejected', 'redirected')";
        db.execute_batch(&format!(
            "ALTER TABLE ticket DROP COLUMN done; CREATE INDEX ticket_open ON ticket(row) WHERE stage NOT IN {stages};
             CREATE INDEX ticket_closed ON ticket(row) WHERE stage IN {stages}"
        ))
        .unwrap();
        super::super::prepare(&db).unwrap();
        let me = "370100".parse().unwrap();
        for (queue, expected) in [("open", &[3, 1][..]), ("closed", &[2]), ("held", &[3, 1])] {
            let rows = list(&db, me, queue, &Sift::default(), 9, None).unwrap().unwrap();
            let rows: Vec<i64> = rows.iter().map(|row| row["row"].as_i64().unwrap()).collect();
            assert_eq!(rows, expected, "{queue}");
        }
    }

    #[test]
    fn no_write_of_a_row_builds_a_table_of_its_own() {
        let db = with_tickets(&[]);
        for sql in [
            "UPDATE ticket SET stage = ?1, done = ?2, due = ?3, agent = ?4 WHERE row = ?5",
            "DELETE FROM ticket WHERE row = ?1",
        ] {
            let mut query = db.prepare(&format!("EXPLAIN {sql}")).unwrap();
            (1..=query.parameter_count()).for_each(|p| query.raw_bind_parameter(p, None::<i64>).unwrap());
            let mut rows = query.raw_query();
            while let Some(row) = rows.next().unwrap() {
                let step: String = row.get(1).unwrap();
                assert_ne!(step, "OpenEphemeral", "{sql}");
            }
        }
    }

    #[test]
    fn a_page_is_narrowed_ordered_and_followed_by_the_next() {
        let db = with_tickets(&[
            ("1", "370100", "in_hand"),
            ("2", "370100", "in_hand"),
            ("3", "370100", "in_hand"),
            ("4", "370100", "closed"),
            ("5", "370200", "in_hand"),
        ]);
        for (row, set) in [
            (
                1,
                "business = '投诉举报', topic = 'D0401', domain = 'D04', day = '2026-11-01', due = '2026-12-02'",
            ),
            (
                2,
                "business = '投诉举报', urgency = '紧急', day = '2026-11-02', due = '2026-12-01', centre = '370100-01'",
            ),
            (3, "business = '信息咨询', channel = '网站', day = '2026-11-03'"),
            (4, "business = '投诉举报', day = '2026-11-04', due = '2026-12-03'"),
        ] {
            db.execute(&format!("UPDATE ticket SET {set} WHERE row = {row}"), []).unwrap();
        }
        let me = "370100".parse().unwrap();
        let listed = |queue: &str, sift: Sift, limit: usize, after: Option<i64>| -> Vec<i64> {
            let rows = list(&db, me, queue, &sift, limit, after).unwrap().unwrap();
            rows.iter().map(|row| row["row"].as_i64().unwrap()).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        let none = Sift::default;
        assert_eq!(listed("held", none(), 2, None), [3, 2]);
        assert_eq!(listed("held", none(), 2, Some(2)), [1]);
        let oldest = || Sift { sort: Sort::Oldest, ..none() };
        assert_eq!(
            (listed("held", oldest(), 2, None), listed("held", oldest(), 2, Some(2))),
            (vec![1, 2], vec![3])
        );
        let due = || Sift { sort: Sort::Due, ..none() };
        assert_eq!((listed("all", due(), 9, None), listed("all", due(), 9, Some(2))), (vec![2, 1], vec![1]));
        let complaints = || Sift { business: some("投诉举报"), ..none() };
        assert_eq!(listed("all", complaints(), 9, None), [4, 2, 1]);
        assert_eq!(
            listed("all", Sift { first: some("2026-11-02"), last: some("2026-11-03"), ..none() }, 9, None),
            [3, 2]
        );
        assert_eq!(listed("held", Sift { urgency: some("紧急"), ..complaints() }, 9, None), [2]);
        assert_eq!(listed("held", Sift { urgency: some("一般"), ..complaints() }, 9, None), [1]);
        assert_eq!(
            listed("held", Sift { topic: some("D0401"), domain: some("D04"), ..none() }, 9, None),
            [1]
        );
        assert_eq!(listed("held", Sift { channel: some("网站"), ..none() }, 9, None), [3]);
        let serving = |site: &str| Sift { centres: Some([site.parse().unwrap()].into()), ..none() };
        assert_eq!(listed("held", serving("370100-01"), 9, None), [3, 2, 1]);
        assert_eq!(listed("held", serving("370100"), 9, None), [3, 1], "a part of a code is another centre");
        assert_eq!(list(&db, me, "none", &none(), 9, None).unwrap(), None);
    }
}
