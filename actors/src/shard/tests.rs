//! Promises of the shard, kept against a virtual clock.
//!
//! Layout:
//! - `house`: the cast to test with, and a client that reads.
//! - `said`: what that client understands.
//! - `order`: everybody gets everything once, in one order.
//! - `history`: beginnings in the past, falls and gaps.
//! - `numbers`: sids and seqs of the numbered forms.
//! - `life`: keepalives, ends, refusals, drain.
//! - `slow`: places that are told, and what becomes of who does not keep up.
//! - `model`: seeded random lives of many streams, against the list of what was accepted.

mod history;
mod house;
mod life;
mod model;
mod numbers;
mod order;
mod said;
mod slow;
