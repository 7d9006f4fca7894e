//! The tests of the core in one program: what is linked once is linked quickly, which counts where
//! a thousand mistakes are planted one after the other (`scripts/mutants.sh`). Built only there.
//! Those with an allocator of their own stay apart, and those that read the source: they would find
//! a mistake by its text.

#[path = "account.rs"]
mod account;
#[path = "alike.rs"]
mod alike;
#[path = "backlog.rs"]
mod backlog;
#[path = "batch.rs"]
mod batch;
#[path = "circle.rs"]
mod circle;
#[path = "events.rs"]
mod events;
#[path = "evict.rs"]
mod evict;
#[path = "force.rs"]
mod force;
#[path = "ghost.rs"]
mod ghost;
#[path = "governor.rs"]
mod governor;
#[path = "grants.rs"]
mod grants;
#[path = "listener.rs"]
mod listener;
#[path = "measured.rs"]
mod measured;
#[path = "misuse.rs"]
mod misuse;
#[path = "oracle.rs"]
mod oracle;
#[path = "policy.rs"]
mod policy;
#[path = "queue.rs"]
mod queue;
#[path = "rate.rs"]
mod rate;
#[path = "reclaim.rs"]
mod reclaim;
#[path = "registry.rs"]
mod registry;
#[path = "ring.rs"]
mod ring;
#[path = "share.rs"]
mod share;
#[path = "stress.rs"]
mod stress;
#[path = "turnover.rs"]
mod turnover;
#[path = "wait.rs"]
mod wait;
#[path = "waiting.rs"]
mod waiting;
#[path = "word.rs"]
mod word;
