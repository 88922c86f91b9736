//! The addresses of the public door: these and no others.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};

use super::options::PublicOptions;
use super::shell::{self, Shell};
use super::{App, add, articles, disclosure, file, guard, open311, query};

pub(super) fn router(app: Arc<App>, options: &PublicOptions) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/request", get(file::show).post(file::take))
        .route("/query", get(query::show).post(query::ask))
        .route("/articles", get(articles::list))
        .route("/articles/{id}", get(articles::one))
        .route("/articles/{id}/files/{content}", get(articles::file))
        .route("/assets/{name}", get(shell::asset))
        .merge(if options.open311 { open311::router() } else { Router::new() })
        .merge(if options.figures {
            Router::new().route("/figures", get(disclosure::show))
        } else {
            Router::new()
        })
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
    /// Whether there are figures.
    figures: bool,
}

async fn home(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let t = guard::tongue(&uri);
    let s = Shell::new(&app, t, t.say("首页", "Start"), "/");
    shell::page(StatusCode::OK, &Home { s, figures: app.figures })
}

async fn nothing(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let t = guard::tongue(&uri);
    shell::message(&app, t, StatusCode::NOT_FOUND, t.say("没有这个页面。", "There is no such page."))
}
