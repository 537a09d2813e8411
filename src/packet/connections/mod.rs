//! The connection table: which server each flow goes to.
//!
//! One table in shared memory, written to by every CPU that forwards (the XDP program, whose half of this code is
//! `datapath/xdp/program/connections.h`), by the sweeper ([`super::sweep`]), and by whoever enters a partner's
//! connections. There are no locks. A bucket is a cache line of four slots, a flow may be in either of two buckets, and a
//! slot is two words: the flow's key, and a [`Value`].
//!
//! ```text
//!             claim              publish            end                  clear         free, after a rest
//! FREE (0,0) ───────► (0,value) ─────────► (key,value) ────► (key,DEAD) ───────► (0,DEAD) ───────► FREE
//!                         │                  │      ▲                                                ▲
//!                         │                  └──────┘ change                                         │
//!                         └────── free, when it is a second old and whoever claimed it is gone ──────┘
//! ```
//!
//! All changes of a value are compare-and-swaps of the value that was read. The key is stored by an exchange with a
//! barrier behind it, and taken away by a compare-and-swap of the flow's own key.
//!
//! # What holds, and why
//!
//! Assumed of time: whoever has read an entry makes its change within 100 ms ([`REST`]), and whoever has claimed a slot
//! publishes within a second ([`ABANDONED`]). The XDP program runs to its end without being preempted, within
//! microseconds. User space may be preempted for any time, so entries are made, and freed, by one thread there: the
//! sweeper's. While it stands still nothing is freed. Where one virtual CPU alone is held up for longer than that, in the
//! middle of a packet, 4 needs a second coincidence before anything goes wrong.
//!
//! Assumed of memory: x86-64 shows stores in the order in which they were made, and each locked instruction is a full
//! barrier. In Rust's terms every load acquires, every change acquires and releases, and one sequentially consistent
//! fence follows the key. The model checker's tests run with these weaker rules.
//!
//! **1. Whoever sees a key sees its value.** The claim stores the value before the exchange stores the key (release), and
//! a reader loads the key before the value (acquire). So a reader who saw the key sees that value, or a later one.
//!
//! **2. A value that was read between two reads of one key is that key's.** Let a reader see the key, then a value, then
//! the key again. Were the value another flow's, it would be that of a later claim (an earlier one is excluded by 1).
//! Before that claim the slot was FREE, which the freeing made it after the key was gone: absence of the key happened
//! before that value, the reader saw the value (acquire), so the second read cannot see the key from before. It could see
//! the same flow's key of a third claim; but then the slot has rested twice between two loads. A dead value is no hit.
//!
//! **3. No two flows claim one slot.** Both would swap the same 0. And FREE has no key: a claimed slot's key is 0 before
//! the exchange, and freeing clears it before the value.
//!
//! **4. A change lands on the flow that it was meant for, or nowhere.** A refresh read `value` under its key (2) and
//! swaps it. When the killer was first, the swap meets DEAD, 0, or the value of another flow, and these are equal to
//! `value` in no case: that flow's was made after the slot rested, so its time is at least 24 units later than the time at
//! which the killer met `value`. Should an inserter's own reading of the clock be as old as that, because its CPU was
//! held up, the same server, the same state and the same of 4,096 generations would have to coincide as well. When the
//! refresh was first, the killer's swap meets the refreshed value and fails: a flow that lives is not ended. The sweeper
//! comes again; [`Table::insert`] tries again, because there the entry must go.
//!
//! **5. Two entries of one flow come together in the lower slot.** Let `p < q` both be published for one key. Each inserter
//! stores its key, passes a barrier, and looks at all slots of both buckets. Of two threads that store, pass a barrier and
//! then look at the other's store, at least one sees it. If `q`'s inserter sees `p`, it ends `q`. If `p`'s sees `q`, it
//! ends `q` as well. Ending tries again when a refresh has come in between, so `q` ends in either case, unless `p` was
//! ended by somebody else. With more than two, take any two that would be left: the same argument excludes them. One
//! look at *all* slots is needed for this: an inserter that deals with the first other entry alone may, of three, leave
//! the other two to each other, of which one had looked too early and the other had found the third.
//!
//! The lowest entry is ended by no inserter, so inserters alone never leave a flow without entry. A loser's packet goes to
//! the server of the entry that it yielded to. Should a killer end that one at the same moment (its server was taken
//! down), the flow is without entry and its next packet is decided anew, as it would have been anyway.
//!
//! **6. Inserter and killer do not meet.** The sweeper ends what has a key. A claimed slot has none; it is left alone for a
//! second, and the inserter is done with it by then. Had it been freed and claimed by another flow in the meantime, the
//! late exchange would put one flow's key before another one's server: hence the assumption on time above.
//!
//! **7. Counts.** Whoever claims a slot counts one connection opened, and whoever makes one of the ends takes that entry
//! from the count: an end is one successful compare-and-swap, so it is counted once.

mod slot;
mod table;
mod value;
mod word;

#[cfg(test)]
mod models;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests;

pub use slot::{ABANDONED, REST, Slot};
pub use table::{Entered, Found, NotATable, Place, SLOTS, Table, Witness};
pub use value::{State, TIME_SHIFT, Value, units};
pub use word::Word;
