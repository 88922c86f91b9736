//! Seats and trunks (座席、中继测算): how many calls a quarter of an hour will bring, and what it takes to answer them.
//!
//! | room | what it holds |
//! | --- | --- |
//! | queue | Erlang's formulas: what a number of seats or trunks does to callers |
//! | calls | the calls of the past by quarters of an hour, and what they let expect of a day |
//! | lines | a plan as lines that programs for tables read |
//! | plot | a day as pictures |
//! | staffing | a day: calls expected, seats, trunks, and what one seat more or less would change |
//!
//! Nothing here reads a clock or a database: history and calendar come in, numbers go out.

pub mod calls;
pub mod lines;
pub mod plot;
pub mod queue;
pub mod staffing;
