//! Faults put into the machine on purpose, to see that the checks see them.

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutant {
    /// The machine as it is.
    None,
    /// It does not notice that it was stopped, and its claims do not end by themselves.
    NoLease,
    /// Others go on to answer for a while after it has yielded.
    YieldsLate,
    /// Both are primaries, so both claim with even epochs.
    BothPrimary,
    /// The question on the LAN is never answered.
    NeverLooks,
    /// The winner of a conflict does not announce again.
    NeverRepeats,
    /// It does not hear how long it was stopped, but its claims end with the lease.
    ForgetsToListen,
    /// It is not told that recovery is manual.
    TakesBackAnyway,
    /// Nobody hears what became of a takeover.
    NeverAnswers,
    /// Its claims do not reach the rest of the machine.
    NeverClaims,
    /// What is on its disk is newer than what it was given at its start.
    OldDisk,
}
