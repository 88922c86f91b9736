//! Import: calls from outside on their way to tickets.
//!
//! ```text
//! JSON lines --SampleReader--> (line, Sample) --NewTicket::from_sample--> NewTicket --> whoever makes documents
//! CSV, xlsx  --Sheet-------->  (row, Sample)  --'
//! ```
//!
//! A line is read, checked and capped here; numbering, sealing the caller's data and writing the document are
//! others' work. Free text is masked on the way ([`mask_phones`]), because it will stand in a document's history
//! in clear for ever.

mod fact;
mod mask;
mod new_ticket;
mod own;
mod samples;
mod sheet;

pub use fact::fact;
pub use mask::mask_phones;
pub(crate) use new_ticket::MAX_EXTRA;
pub use new_ticket::{Caller, NewTicket, NewTicketError, Urgency};
pub use own::{Unfit, own, unfit};
pub use samples::{MAX_LINE, Sample, SampleError, SampleReader};
pub use sheet::{RowError, Sheet, SheetError, is_table};
