//! Quarterly forms: one on each sheet of paper, with a foot to sign, which parameters may fill. All of it without script.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::super::App;
use super::super::download::{self, Kind};
use super::super::frame::{self, Frame};
use super::super::guard::Signed;
use crate::china;
use crate::daemon::now_ms;
use crate::figures::{self, Foot, Printed};
use crate::request::Request;

/// What the address says.
#[derive(Deserialize)]
pub(in super::super) struct Asked {
    #[serde(default)]
    quarter: String,
    #[serde(flatten)]
    foot: Foot,
}

impl Asked {
    /// The quarter that is asked for, or the one before this.
    fn quarter(&self) -> String {
        match self.quarter.trim() {
            "" => figures::last_quarter(china::today(now_ms())),
            given => given.chars().take(20).collect(),
        }
    }

    /// The names at the foot, as they stand in addresses.
    fn feet(&self) -> [(&'static str, &str); 5] {
        let Foot { head, statistician, filled_by, phone, reported } = &self.foot;
        [
            ("head", head),
            ("statistician", statistician),
            ("filled_by", filled_by),
            ("phone", phone),
            ("reported", reported),
        ]
    }
}

#[derive(Template)]
#[template(path = "form.html")]
struct Page {
    f: Frame,
    site: String,
    quarter: String,
    feet: Vec<(&'static str, &'static str, String)>,
    told: Option<(u64, String)>,
    waiting: i64,
    forms: Vec<Printed>,
    xlsx: String,
}

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let w = who.words();
    let quarter = asked.quarter();
    let answer = match app.ask(&who, Request::Form { period: quarter.clone() }).await {
        Ok(answer) => answer,
        Err(failure) => return frame::failure(&who, &failure),
    };
    let forms = figures::printed(&answer, w.language, &asked.foot);
    let labels: Vec<&str> =
        forms.first().map(|form| form.foot.iter().map(|(label, _)| *label).collect()).unwrap_or_default();
    let feet =
        asked.feet().into_iter().zip(labels).map(|((name, given), label)| (name, label, given.to_owned()));
    let address = |path: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("quarter", &quarter);
        query.extend_pairs(asked.feet().into_iter().filter(|(_, given)| !given.is_empty()));
        format!("{path}?{}", query.finish())
    };
    let page = Page {
        f: Frame::new(&app, &who, w.forms, &address("/figures/form")),
        site: app.site_name(&app.me.site().to_string()),
        feet: feet.collect(),
        told: super::figures::told(&answer),
        waiting: answer["waiting"].as_i64().unwrap_or_default(),
        xlsx: address("/figures/form/xlsx"),
        forms,
        quarter,
    };
    frame::page(StatusCode::OK, &page)
}

/// The same as a spreadsheet, a form on each sheet.
pub(in super::super) async fn file(
    State(app): State<Arc<App>>,
    who: Signed,
    Query(asked): Query<Asked>,
) -> Response {
    let language = who.words().language;
    let quarter = asked.quarter();
    match app.ask(&who, Request::Form { period: quarter.clone() }).await {
        Ok(answer) => {
            let name = format!("forms-{}-{quarter}", app.me.site());
            download::file(&who, &name, Kind::Xlsx, move || figures::sheets(&answer, language, &asked.foot))
                .await
        }
        Err(failure) => frame::failure(&who, &failure),
    }
}
