//! The addresses of the public door: these and no others.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use super::shell::{self, Shell};
use super::{App, add, file, guard, open311, query};

pub(super) fn router(app: Arc<App>, programs: bool) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/request", get(file::show).post(file::take))
        .route("/query", get(query::show).post(query::ask))
        .route("/assets/{name}", get(shell::asset))
        .merge(if programs { open311::router() } else { Router::new() })
        .fallback(nothing)
        .layer(from_fn_with_state(app.clone(), guard::whole))
        .route(add::PATH, post(add::take).layer(DefaultBodyLimit::max(add::MAX_BODY)))
        .layer(from_fn_with_state(app.clone(), guard::surround))
        .with_state(app)
}

#[derive(Template)]
#[template(path = "public/home.html")]
struct Home {
    s: Shell,
}

async fn home(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let t = guard::tongue(&uri);
    let s = Shell::new(&app, t, t.say("首页", "Start"), "/");
    shell::page(StatusCode::OK, &Home { s })
}

async fn nothing(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let t = guard::tongue(&uri);
    shell::message(&app, t, StatusCode::NOT_FOUND, t.say("没有这个页面。", "There is no such page."))
}
