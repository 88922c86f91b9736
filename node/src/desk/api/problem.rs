//! What went wrong, for programs: RFC 9457, with the next step as `hint`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::guard;
use super::shapes::{Is, Shape, field, maybe};
use crate::request::{Failure, FailureKind};

/// A problem, as a program reads it.
pub(super) const PROBLEM: Shape = Shape {
    name: "Problem",
    says: "What went wrong",
    like: None,
    holds: &[
        field("type", Is::Text, "`urn:hotline:problem:` and a name"),
        field("title", Is::Text, "what the status is called"),
        field("status", Is::Count, "the status of the answer"),
        field("detail", Is::Text, "what went wrong, in a sentence"),
        maybe("hint", Is::Text, "what to do next"),
    ],
};

/// A problem.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    name: &'static str,
    detail: String,
    hint: Option<String>,
    /// When to try again.
    after: Option<u64>,
    /// For a program without a token that counts.
    challenge: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, name: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, name, detail: detail.into(), hint: None, after: None, challenge: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// A request that HTTP already makes no sense of.
    pub(super) fn bad(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// A request that reads well and asks for something that cannot be.
    pub(super) fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    pub(super) fn absent(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(super) fn too_large(most: usize) -> Problem {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("a body has at most {most} bytes here"),
        )
    }

    pub(super) fn stays_outside(challenge: &'static str, detail: &str) -> Problem {
        let mut problem = Problem::new(StatusCode::UNAUTHORIZED, "no-token", detail);
        problem.challenge = Some(challenge);
        problem.hint(
            "send `Authorization: Bearer TOKEN`; whoever looks after the node makes one: `hotline token add`",
        )
    }

    pub(super) fn too_fast(wait: Duration) -> Problem {
        let mut problem =
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-fast", "too many requests for now");
        problem.after = Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        problem
    }

    /// Whether nothing was done: what was refused may be asked again under the same key.
    pub(super) fn did_nothing(&self) -> bool {
        self.status.is_client_error() || self.name == "try-again"
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        let (status, name) = match failure.kind {
            _ if guard::is_denied(&failure) => (StatusCode::FORBIDDEN, "forbidden"),
            FailureKind::Moved => (StatusCode::PRECONDITION_FAILED, "moved"),
            FailureKind::Gone => (StatusCode::GONE, "cursor-gone"),
            FailureKind::Absent => (StatusCode::NOT_FOUND, "not-found"),
            FailureKind::Usage => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            FailureKind::Failed | FailureKind::NeedsPerson | FailureKind::NotServed => {
                (StatusCode::CONFLICT, "not-granted")
            }
            FailureKind::TryAgain => (StatusCode::SERVICE_UNAVAILABLE, "try-again"),
            // Whether it was done before the end, nobody knows.
            FailureKind::Unreachable => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
            FailureKind::Configuration | FailureKind::Integrity => {
                (StatusCode::INTERNAL_SERVER_ERROR, "broken")
            }
        };
        if status.is_server_error() {
            tracing::error!(%failure, causes = ?failure.causes, "a program was not answered");
        }
        let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
        let mut problem = Problem::new(status, name, format!("{}{causes}", guard::sentence(&failure)));
        problem.hint = failure.hint;
        problem.after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:hotline:problem:{}", self.name),
            "title": self.status.canonical_reason().unwrap_or("Problem"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(hint) = self.hint {
            body["hint"] = hint.into();
        }
        let mut response = (self.status, Body::from(body.to_string())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.after {
            headers.insert(header::RETRY_AFTER, after.into());
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_becomes_the_status_that_says_what_to_do() {
        let check = |kind, message: &str, status: u16| {
            let problem = Problem::from(Failure::new(kind, message));
            assert_eq!(problem.status.as_u16(), status, "{message}");
        };
        check(FailureKind::Usage, "no reason", 422);
        check(FailureKind::Absent, "no ticket 12ab is here", 404);
        check(FailureKind::Failed, "the ticket is closed", 409);
        check(FailureKind::Moved, "the ticket has changed since", 412);
        check(FailureKind::Gone, "this cursor does not fit what is here", 410);
        check(FailureKind::NeedsPerson, "denied: your role may not", 403);
        check(FailureKind::TryAgain, "the disk is full", 503);
        check(FailureKind::Integrity, "damaged", 500);
    }
}
