//! Promises of the shard, kept against a virtual clock.
