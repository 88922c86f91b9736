//! The table of routes: what is served, and all that its description says.

use super::acts::{Field, Kind};
use super::openapi::DESCRIPTION;
use super::shapes::{self, Is, Shape};
use crate::users::Scope;

/// The method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Document,
    List,
    Similar,
    New,
    Show,
    History,
    Choices,
    Note,
    Act,
    Reveal,
    Files,
    Attach,
    Fetch,
    Changes,
    Stream,
    Articles,
    Article,
    Used,
    Unhelpful,
    Categories,
    Redirects,
    Centres,
    Fields,
    Status,
    Volume,
    Figures,
    Scorecard,
    CallEvent,
    CallEventAt,
    CallRoute,
    CallRecording,
}

/// What a route takes as its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// An object with these fields.
    Json(&'static [Field]),
    /// An event with these fields and more, as JSON or as a form.
    Event(&'static [Field]),
    /// A file as it is.
    Bytes,
}

/// What a route answers with when all went well.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Json(Is),
    /// A file as it is.
    Bytes,
    /// Server-sent events.
    Events,
}

const fn json(shape: &'static Shape) -> Answer {
    Answer::Json(Is::A(shape))
}

/// A parameter of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) says: &'static str,
}

const fn param(name: &'static str, kind: Kind, says: &'static str) -> Param {
    Param { name, kind, required: false, says }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) op: Op,
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    /// Its name in the description.
    pub(super) id: &'static str,
    pub(super) says: &'static str,
    /// What a token needs for it; `None` when any token will do.
    pub(super) scope: Option<Scope>,
    pub(super) query: &'static [Param],
    pub(super) takes: Takes,
    /// The status when all went well, and what comes with it.
    pub(super) status: u16,
    pub(super) gives: &'static str,
    pub(super) answer: Answer,
}

const LANGUAGE: Param = param("language", Kind::Text, "`zh` or `en`");

/// Which version was read; without it the one in force.
const READ: &[Field] = &[("version", Kind::Number, false)];

/// What a new ticket may say; other fields are kept beside these, and those of the centre's own hold what their table allows.
const NEW: &[Field] = &[
    ("text", Kind::Text, true),
    ("id", Kind::Text, false),
    ("type", Kind::Text, false),
    ("domain", Kind::Text, false),
    ("field", Kind::Text, false),
    ("region_code", Kind::Text, false),
    ("caller_phone", Kind::Text, false),
    ("caller_type", Kind::Text, false),
    ("channel", Kind::Text, false),
    ("priority", Kind::Text, false),
    ("confidential", Kind::Truth, false),
    ("note", Kind::Text, false),
];

/// What a telephone system tells of a call, by the names of Zammad's generic CTI.
const EVENT: &[Field] = &[
    ("event", Kind::Text, true),
    ("callid", Kind::Text, true),
    ("from", Kind::Text, false),
    ("to", Kind::Text, false),
    ("direction", Kind::Text, false),
    ("queue", Kind::Text, false),
    ("answeringNumber", Kind::Text, false),
    ("user", Kind::Text, false),
    ("cause", Kind::Text, false),
];

const PLAIN: Route = Route {
    op: Op::Document,
    verb: Verb::Get,
    path: "/openapi.json",
    id: "document",
    says: "This description",
    scope: None,
    query: &[],
    takes: Takes::Nothing,
    status: 200,
    gives: "OpenAPI 3.1",
    answer: json(&DESCRIPTION),
};

/// Every route.
pub(super) const ROUTES: &[Route] = &[
    PLAIN,
    Route {
        op: Op::List,
        path: "/tickets",
        id: "listTickets",
        says: "A queue page by page; or with `q` what a search finds. Of `all`, `closed` and `conflicts` that are narrowed the newest \
               50,000 tickets are looked through",
        scope: Some(Scope::TicketsRead),
        query: &[
            param("queue", Kind::Text, "`held` without it; `mine` needs `user`, `team` needs `department`"),
            param("user", Kind::Text, "whose `mine` is"),
            param("department", Kind::Text, "whose `team` is"),
            param("business", Kind::Text, "only 信息咨询, 投诉举报 or 意见建议"),
            param("domain", Kind::Text, "only this domain, by its code"),
            param("topic", Kind::Text, "only this topic, by its code"),
            param("channel", Kind::Text, "only what came so"),
            param("urgency", Kind::Text, "only 一般, 紧急 or 特急"),
            param("first", Kind::Text, "taken on this day or later, as in 2026-11-02"),
            param("last", Kind::Text, "taken on this day or earlier"),
            param("sort", Kind::Text, "`newest` without it; `due`: the first to end first"),
            param("q", Kind::Text, "words, a number, a plate; not together with `queue` or `cursor`"),
            param("limit", Kind::Number, "1 to 100; 20 without it"),
            param("cursor", Kind::Text, "`next` of the page before"),
        ],
        gives: "`tickets`, and `next` when there is more",
        answer: json(&shapes::PAGE),
        ..PLAIN
    },
    Route {
        op: Op::Similar,
        path: "/tickets/similar",
        id: "similarTickets",
        says: "Open tickets, and those of the last 30 days, that may be about the same matter as a call; no confidential one",
        scope: Some(Scope::TicketsRead),
        query: &[
            param("text", Kind::Text, "what the caller says; of a long text the end counts"),
            param("plate", Kind::Text, "the vehicle's; the same one counts most"),
            param("place", Kind::Text, "where it happened"),
            param("limit", Kind::Number, "1 to 50; 10 without it"),
        ],
        gives: "`tickets`, the likeliest first, each with `why`: what is shared",
        answer: json(&shapes::LIKELY),
        ..PLAIN
    },
    Route {
        op: Op::New,
        verb: Verb::Post,
        path: "/tickets",
        id: "newTicket",
        says: "Makes a ticket, as `hotline ticket new --from` does; the caller's person is sealed at once",
        scope: Some(Scope::TicketsWrite),
        takes: Takes::Json(NEW),
        status: 201,
        gives: "the ticket that was made",
        answer: json(&shapes::MADE),
        ..PLAIN
    },
    Route {
        op: Op::Show,
        path: "/tickets/{id}",
        id: "showTicket",
        says: "A ticket without its caller; `ETag` is its state",
        scope: Some(Scope::TicketsRead),
        gives: "the ticket, as `hotline ticket show --json` prints it",
        answer: Answer::Json(shapes::SHOWN),
        ..PLAIN
    },
    Route {
        op: Op::History,
        path: "/tickets/{id}/history",
        id: "ticketHistory",
        says: "Its story, in sentences",
        scope: Some(Scope::TicketsRead),
        query: &[LANGUAGE],
        gives: "`lines`",
        answer: json(&shapes::HISTORY),
        ..PLAIN
    },
    Route {
        op: Op::Choices,
        path: "/tickets/{id}/choices",
        id: "ticketChoices",
        says: "What this site may do with it now, why not the rest, and which peers lack something of it",
        scope: Some(Scope::TicketsRead),
        query: &[LANGUAGE],
        gives: "`choices`, `replies`, `peers`",
        answer: json(&shapes::CHOICES),
        ..PLAIN
    },
    Route {
        op: Op::Note,
        verb: Verb::Post,
        path: "/tickets/{id}/notes",
        id: "addNote",
        says: "Adds a note",
        scope: Some(Scope::TicketsWrite),
        takes: Takes::Json(&[("text", Kind::Text, true)]),
        status: 201,
        gives: "what the note became",
        answer: json(&shapes::NOTED),
        ..PLAIN
    },
    Route {
        op: Op::Act,
        verb: Verb::Post,
        path: "/tickets/{id}/acts/{do}",
        id: "act",
        says: "Acts on it, as the command of the same name does",
        scope: Some(Scope::TicketsWrite),
        takes: Takes::Json(&[]),
        status: 201,
        gives: "the entry, and where the ticket stands now",
        answer: json(&shapes::ACTED),
        ..PLAIN
    },
    Route {
        op: Op::Reveal,
        verb: Verb::Post,
        path: "/tickets/{id}/reveal",
        id: "revealCaller",
        says: "The ticket with its caller, for a reason; both logs have it. `desk`: a confidential report too",
        scope: Some(Scope::PersonsRead),
        takes: Takes::Json(&[("reason", Kind::Text, true), ("desk", Kind::Truth, false)]),
        gives: "the ticket with `person`",
        answer: json(&shapes::REVEALED),
        ..PLAIN
    },
    Route {
        op: Op::Files,
        path: "/tickets/{id}/files",
        id: "listFiles",
        says: "Its files; the names of a confidential report's stay sealed",
        scope: Some(Scope::FilesRead),
        gives: "`files`",
        answer: json(&shapes::FILES),
        ..PLAIN
    },
    Route {
        op: Op::Attach,
        verb: Verb::Post,
        path: "/tickets/{id}/files",
        id: "attachFile",
        says: "Puts a file under it: the bytes as they are, the media type in `Content-Type`. The same file again changes \
               nothing",
        scope: Some(Scope::FilesWrite),
        query: &[Param {
            name: "name",
            kind: Kind::Text,
            required: true,
            says: "the file's name; no caller's",
        }],
        takes: Takes::Bytes,
        status: 201,
        gives: "the file's row",
        answer: json(&shapes::FILE),
    },
    Route {
        op: Op::Fetch,
        path: "/tickets/{id}/files/{content}",
        id: "fetchFile",
        says: "A file, by its name or its content's hash; of a confidential report with a reason",
        scope: Some(Scope::FilesRead),
        query: &[param("reason", Kind::Text, "why, for a confidential report; it is logged")],
        gives: "the bytes",
        answer: Answer::Bytes,
        ..PLAIN
    },
    Route {
        op: Op::Changes,
        path: "/changes",
        id: "changes",
        says: "What has changed, one after the other and each once. 410 when the cursor does not fit what is here any more",
        scope: Some(Scope::TicketsRead),
        query: &[
            param(
                "after",
                Kind::Text,
                "`next` of the last answer; without it nothing, and the cursor to begin with",
            ),
            param("limit", Kind::Number, "1 to 100; 100 without it"),
            param("wait", Kind::Number, "so many seconds, 1 to 25, for the next change when there is none"),
        ],
        gives: "`changes`, each with `cursor`, `id`, `number`, `stage`, `state_hash`, `at`; and `next`",
        answer: json(&shapes::CHANGES),
        ..PLAIN
    },
    Route {
        op: Op::Stream,
        path: "/changes/stream",
        id: "changesStream",
        says: "The same as server-sent events, each with its cursor as its id. 410 when the cursor does not fit what is \
               here any more",
        scope: Some(Scope::TicketsRead),
        query: &[param(
            "after",
            Kind::Text,
            "the last cursor that was dealt with; `Last-Event-ID` outranks it. Without both it begins with the next change",
        )],
        gives: "events `change`; `ended` when the token counts no more, `gone` when the cursor does not",
        answer: Answer::Events,
        ..PLAIN
    },
    Route {
        op: Op::Articles,
        path: "/articles",
        id: "listArticles",
        says: "Articles that are in force here; with `q` what a search finds, with `about` what a text may be about, the best \
               first",
        scope: Some(Scope::KnowledgeRead),
        query: &[
            param("q", Kind::Text, "words, pinyin initials, a code"),
            param("about", Kind::Text, "what somebody says; not together with `q`"),
            param("limit", Kind::Number, "1 to 100; 20 without it"),
        ],
        gives: "`articles`",
        answer: json(&shapes::ARTICLES),
        ..PLAIN
    },
    Route {
        op: Op::Article,
        path: "/articles/{id}",
        id: "getArticle",
        says: "An article, by id, the beginning of one, or its code: what is in force of it",
        scope: Some(Scope::KnowledgeRead),
        query: &[param("version", Kind::Number, "another version"), LANGUAGE],
        gives: "`text` with title, body and the rest; versions, trail, supplements",
        answer: json(&shapes::ARTICLE),
        ..PLAIN
    },
    Route {
        op: Op::Used,
        verb: Verb::Post,
        path: "/articles/{id}/used",
        id: "articleUsed",
        says: "Somebody was answered with its help",
        scope: Some(Scope::KnowledgeWrite),
        takes: Takes::Json(READ),
        status: 201,
        gives: "what was said of it here and below in the last 30 days",
        answer: json(&shapes::SAID),
        ..PLAIN
    },
    Route {
        op: Op::Unhelpful,
        verb: Verb::Post,
        path: "/articles/{id}/unhelpful",
        id: "articleUnhelpful",
        says: "It was read and did not help",
        scope: Some(Scope::KnowledgeWrite),
        takes: Takes::Json(READ),
        status: 201,
        gives: "what was said of it here and below in the last 30 days",
        answer: json(&shapes::SAID),
        ..PLAIN
    },
    Route {
        op: Op::Categories,
        path: "/reference/categories",
        id: "categories",
        says: "Domains and their topics",
        gives: "`categories`",
        answer: json(&shapes::CATEGORIES),
        ..PLAIN
    },
    Route {
        op: Op::Redirects,
        path: "/reference/redirects",
        id: "redirects",
        says: "Other hotlines",
        gives: "`redirects`",
        answer: json(&shapes::REDIRECTS),
        ..PLAIN
    },
    Route {
        op: Op::Centres,
        path: "/reference/centres",
        id: "centres",
        says: "The centres of the country",
        gives: "`centres`",
        answer: json(&shapes::CENTRES),
        ..PLAIN
    },
    Route {
        op: Op::Fields,
        path: "/reference/fields",
        id: "fields",
        says: "Fields of this centre's own: what a new ticket may say under further names",
        gives: "`fields`",
        answer: json(&shapes::FIELDS),
        ..PLAIN
    },
    Route {
        op: Op::Status,
        path: "/status",
        id: "status",
        says: "This replica and its peers",
        scope: Some(Scope::StatusRead),
        gives: "as `hotline replica status --json`",
        answer: json(&shapes::STATUS),
        ..PLAIN
    },
    Route {
        op: Op::Volume,
        path: "/volume",
        id: "volume",
        says: "How many tickets were numbered here, by day and by hour of today",
        scope: Some(Scope::StatusRead),
        query: &[param("days", Kind::Number, "1 to 31; 7 without it")],
        gives: "`days`, `hours`",
        answer: json(&shapes::VOLUME),
        ..PLAIN
    },
    Route {
        op: Op::Figures,
        path: "/figures",
        id: "figures",
        says: "Figures of a period, of the tickets whose call was taken here or below, each with the period before and the same of \
               the year before; no ticket",
        scope: Some(Scope::FiguresRead),
        query: &[
            param(
                "month",
                Kind::Text,
                "as in 2026-11; not together with `from` and `to`; this month without any",
            ),
            param("from", Kind::Text, "the first day, as in 2026-11-02"),
            param("to", Kind::Text, "the last day"),
            param(
                "by",
                Kind::Text,
                "`business`, `domain`, `topic`, `channel`, `unit`, `region`, `handler` (not at the ministry) or `day`",
            ),
        ],
        gives: "as `hotline figures --json`: `figures`, and with `by` also `values`",
        answer: json(&shapes::FIGURES),
        ..PLAIN
    },
    Route {
        op: Op::Scorecard,
        path: "/scorecard",
        id: "scorecard",
        says: "The units below this site by the rates of the scoring rule in a month: as it is now, and as it was frozen",
        scope: Some(Scope::FiguresRead),
        query: &[
            param("month", Kind::Text, "as in 2026-11; the month before this without it"),
            param("site", Kind::Text, "another site, of which only what it has frozen is here"),
        ],
        gives: "the table as it is now, and as it was frozen",
        answer: json(&shapes::SCORECARD),
        ..PLAIN
    },
    Route {
        op: Op::CallEvent,
        verb: Verb::Post,
        path: "/cti",
        id: "callEvent",
        says: "What a telephone system tells of a call: `newCall`, `answer`, `hangup`. The same event again changes nothing, \
               and the order is of no account",
        scope: Some(Scope::CtiWrite),
        takes: Takes::Event(EVENT),
        gives: "`call`, `known` (whether it was before), `fresh` (whether the event was new), `stage`; `kept` is false for a call \
                that goes out",
        answer: json(&shapes::EVENT),
        ..PLAIN
    },
    Route {
        op: Op::CallEventAt,
        verb: Verb::Post,
        path: "/cti/{token}",
        id: "callEventAt",
        says: "The same for a telephone system that can be told an address only: a token with no scopes but `cti:`",
        scope: Some(Scope::CtiWrite),
        takes: Takes::Event(EVENT),
        gives: "as `/cti`",
        answer: json(&shapes::EVENT),
        ..PLAIN
    },
    Route {
        op: Op::CallRoute,
        path: "/route",
        id: "callRoute",
        says: "Where a telephone system is to put a call through, by the tables of other hotlines and of old local numbers; nothing \
               of it is kept",
        scope: Some(Scope::CtiRead),
        query: &[
            Param {
                name: "called",
                kind: Kind::Text,
                required: true,
                says: "the number that was dialled, with or without area code",
            },
            param(
                "calling",
                Kind::Text,
                "the caller's; a landline says the area when the called number does not",
            ),
        ],
        gives: "`action`: `local`, `tell` (with `announcement` and `number`) or `transfer` (to `number`); `area`; `basis`, the row",
        answer: json(&shapes::ROUTE),
        ..PLAIN
    },
    Route {
        op: Op::CallRecording,
        verb: Verb::Put,
        path: "/calls/{callid}/recording",
        id: "putRecording",
        says: "Puts a recording under the ticket of a call: the bytes as they are, `audio/*` in `Content-Type`. Without a ticket yet it \
               waits for a week, sealed. The same recording again changes nothing",
        scope: Some(Scope::CtiWrite),
        takes: Takes::Bytes,
        status: 201,
        gives: "`call`, `waits`, and the file's row",
        answer: json(&shapes::RECORDING),
        ..PLAIN
    },
];
