//! Every kind of page of the desk, and what is asked for beside the form of a call.

use super::tickets::Dice;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A queue's first page.
    Queue(&'static str),
    /// A queue's page somewhere in its middle.
    Deep(&'static str),
    /// A search for so many characters.
    Search(usize),
    /// A search for three initials.
    Pinyin,
    /// Any ticket.
    Ticket,
    /// The form of a call.
    Form,
    /// The earlier tickets of a caller.
    Lookup,
    /// Possible duplicates and articles.
    Beside,
    /// The wall.
    Wall,
    /// Figures of this month, told apart by something or not.
    Figures(&'static str),
    /// The tickets behind a figure.
    Behind,
    /// Seats and trunks of a week, from eight weeks of the past.
    Plan,
    /// The knowledge base.
    Knowledge,
}

/// All; a page of all tickets comes before the first ticket, whose id it shows.
pub const KINDS: [Kind; 33] = [
    Kind::Queue("mine"),
    Kind::Queue("team"),
    Kind::Queue("urged"),
    Kind::Queue("follow-up"),
    Kind::Queue("confidential"),
    Kind::Queue("held"),
    Kind::Queue("to-accept"),
    Kind::Queue("offered"),
    Kind::Queue("returned"),
    Kind::Queue("overdue"),
    Kind::Queue("due-soon"),
    Kind::Queue("open"),
    Kind::Queue("closed"),
    Kind::Queue("conflicts"),
    Kind::Queue("all"),
    Kind::Deep("held"),
    Kind::Deep("open"),
    Kind::Deep("closed"),
    Kind::Deep("all"),
    Kind::Search(1),
    Kind::Search(2),
    Kind::Search(3),
    Kind::Pinyin,
    Kind::Ticket,
    Kind::Form,
    Kind::Lookup,
    Kind::Beside,
    Kind::Wall,
    Kind::Figures(""),
    Kind::Figures("topic"),
    Kind::Behind,
    Kind::Plan,
    Kind::Knowledge,
];

/// What is asked for: a path, and the fields of a form if it is one.
pub type Asked = (String, Vec<(&'static str, String)>);

/// Text as a search's address bears it.
pub fn search(text: &str) -> String {
    let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    format!("/queue/all?q={text}")
}

impl Kind {
    /// What it is called in a table.
    pub fn name(self) -> String {
        match self {
            Kind::Queue(queue) => format!("page: queue {queue}"),
            Kind::Deep(queue) => format!("page: queue {queue}, from anywhere"),
            Kind::Search(1) => "page: search for one character".to_owned(),
            Kind::Search(characters) => format!("page: search for {characters} characters"),
            Kind::Pinyin => "page: search for three initials".to_owned(),
            Kind::Ticket => "page: a ticket".to_owned(),
            Kind::Form => "page: the form of a call".to_owned(),
            Kind::Lookup => "beside the form: a caller's earlier tickets".to_owned(),
            Kind::Beside => "beside the form: duplicates and articles".to_owned(),
            Kind::Wall => "page: the wall".to_owned(),
            Kind::Figures("") => "page: figures of this month".to_owned(),
            Kind::Figures(by) => format!("page: figures of this month, by {by}"),
            Kind::Behind => "page: the tickets behind a figure".to_owned(),
            Kind::Plan => "page: seats and trunks of a week".to_owned(),
            Kind::Knowledge => "page: the knowledge base".to_owned(),
        }
    }

    /// One of the kind, among so many tickets; `ids` are those that were seen.
    pub fn asks(self, dice: &mut Dice, count: usize, callers: &[String], ids: &[String]) -> Asked {
        let form = |then: &str, fields: Vec<(&'static str, String)>| {
            ("/new".to_owned(), [vec![("then", then.to_owned())], fields].concat())
        };
        let path = match self {
            Kind::Queue(queue) => format!("/queue/{queue}"),
            Kind::Deep(queue) => {
                // What is open is among the newest.
                let rows = if matches!(queue, "held" | "open") { count / 16 } else { count };
                let before = count as u64 - dice.below(rows as u64);
                format!("/queue/{queue}?before={before}")
            }
            Kind::Search(characters) => search(&dice.text(characters)),
            Kind::Pinyin => {
                let initials: String = (0..3).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
                search(&initials)
            }
            Kind::Ticket => format!("/ticket/{}", ids[dice.below(ids.len() as u64) as usize]),
            Kind::Form => "/new".to_owned(),
            Kind::Lookup => {
                let caller = callers[dice.below(callers.len() as u64) as usize].clone();
                return form("lookup", vec![("caller_phone", caller)]);
            }
            Kind::Beside => {
                let plate = format!("鲁A{:05}", dice.below(100_000));
                let (text, place) = (dice.text(60), dice.text(8));
                return form("suggest", vec![("text", text), ("plate", plate), ("place", place)]);
            }
            Kind::Wall => "/wall".to_owned(),
            Kind::Figures(by) => format!("/figures?by={by}"),
            Kind::Behind => "/figures/tickets?id=taken".to_owned(),
            Kind::Plan => "/plan".to_owned(),
            Kind::Knowledge => "/knowledge".to_owned(),
        };
        (path, Vec::new())
    }
}
