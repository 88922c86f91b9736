//! Sabotage on purpose: what a world that does not notice would prove about itself.
//!
//! Each is done in the shell around the replica (the trust, the matter, the disk, the order of calls), never in the
//! product.

/// One way to break a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    #[default]
    Nothing,
    /// Effects are performed, and replies given, before the commit.
    AnswerFirst,
    /// The disk says that it wrote and keeps it for later: `synchronous=NORMAL`.
    LazyDisk,
    /// A seal counts whoever's key made it.
    BlindSeals,
    /// The actor of a start is the actor of all starts.
    FixedActor,
    /// What a peer with a smaller name sends is answered and thrown away.
    OneSide,
    /// The fold reads the order of arrival.
    CrookedFold,
    /// Everybody belongs to every audience.
    OpenAudience,
}
