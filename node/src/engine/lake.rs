//! Pages of the read model: see [`crate::lake`].

use std::collections::BTreeSet;
use std::iter::once;

use serde_json::{Value, json};
use sync::id::DocId;
use sync::store::sqlite::Sqlite;

use super::deadlines::RULES;
use super::reading::Reading;
use crate::changes;
use crate::figures;
use crate::hex::{hex, unhex};
use crate::hooks::number;
use crate::lake::row::{LAYOUT, Row};
use crate::lake::{LakeRequest, PAGE};
use crate::projection::lake::{self, Found};
use crate::request::{Failure, Reply};

/// The ids of changes.
fn ids(page: &Value) -> BTreeSet<DocId> {
    let changes = page["changes"].as_array().into_iter().flatten();
    changes.filter_map(|change| DocId::try_from(unhex(change["id"].as_str()?)?.as_slice()).ok()).collect()
}

fn rows(found: &Found) -> Vec<&Row> {
    found.rows.iter().map(|(_, row)| row).collect()
}

impl Reading<'_> {
    pub(super) fn lake(&self, request: &LakeRequest) -> Reply {
        let (db, reference) = (self.db, self.reference);
        match request {
            LakeRequest::Begin => Ok(json!({
                "node": self.me, "cursor": self.newest()?, "tables": self.tables()?,
            })),
            LakeRequest::All { cursor, after, limit } => {
                self.changes(Some(cursor), 1)?; // whether it fits
                let from = unhex(after).ok_or_else(|| Failure::usage("`after` is the id of a ticket"))?;
                let limit = (*limit).clamp(1, PAGE);
                let found = lake::after(db, reference, &from, limit)?;
                let whole = found.rows.len() + found.gone.len() == limit;
                let next = found.last.as_ref().filter(|_| whole).map(|(doc, ..)| doc.to_string());
                Ok(json!({ "rows": rows(&found), "next": next, "change": number(&self.newest()?) }))
            }
            LakeRequest::Changed { cursor, limit } => {
                let page = self.changes(Some(cursor), *limit)?;
                let found = lake::of(db, reference, ids(&page).iter())?;
                let gone: Vec<String> = found.gone.iter().map(DocId::to_string).collect();
                Ok(json!({
                    "rows": rows(&found), "gone": gone, "next": page["next"], "change": number(&self.newest()?),
                    "tables": self.tables()?,
                }))
            }
            LakeRequest::Months { cursor: None, .. } => {
                Ok(json!({ "months": lake::months(db)?, "next": null }))
            }
            LakeRequest::Months { cursor: Some(cursor), limit } => {
                let page = self.changes(Some(cursor), *limit)?;
                let mut months = BTreeSet::new();
                for doc in ids(&page) {
                    months.extend(lake::month_of(db, &doc)?);
                }
                let next = &page["next"];
                Ok(json!({ "months": months, "next": if next == cursor { &Value::Null } else { next } }))
            }
            LakeRequest::Month { month, after, limit } => {
                let from = after.clone().unwrap_or_default();
                let limit = (*limit).clamp(1, PAGE);
                let found = lake::of_month(db, reference, month, &from, limit)?;
                let whole = found.rows.len() + found.gone.len() == limit;
                let next = found.last.as_ref().filter(|_| whole).map(|(_, day, row)| (day, row));
                Ok(json!({ "rows": rows(&found), "next": next }))
            }
        }
    }

    /// The cursor behind everything.
    fn newest(&self) -> Result<String, Failure> {
        let page = changes::after(self.db, None, 1)?.unwrap_or_default();
        Ok(page["next"].as_str().unwrap_or_default().to_owned())
    }

    /// What rows depend on beside their tickets: how this version reads facts, the tables of deadlines, the categories. `None` while
    /// rows are dated or counted anew.
    fn tables(&self) -> Result<Option<String>, Failure> {
        let rules = Sqlite::meta_of(self.db, RULES)?.unwrap_or_default();
        if self.waiting()? > 0 || rules.is_empty() {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new_derive_key("hotline 2026 tables of the read model");
        hasher.update(&LAYOUT.to_be_bytes()).update(&figures::VERSION.to_be_bytes());
        hasher.update(&rules);
        let categories = &self.reference.categories;
        for category in categories.domains().flat_map(|domain| once(domain).chain(categories.topics(domain)))
        {
            hasher.update(category.code().to_string().as_bytes()).update(b"\n");
        }
        Ok(Some(hex(&hasher.finalize().as_bytes()[..8])))
    }
}
