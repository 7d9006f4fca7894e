//! What is called, how often, and in what order.
//!
//! ```text
//! calls of a verb in one deck = its weight       (so shares are exact, not a matter of luck)
//! share of a verb in a run    >= SHARE_MIN       (or the run fails)
//! ```
//!
//! A verb that makes no sense yet (a release where nothing is held) is preceded by the one that
//! prepares it, which is counted as itself.

use crate::dice::Dice;

/// The least share of a run that a verb has.
pub(super) const SHARE_MIN: f64 = 0.01;

macro_rules! verbs {
    ($($verb:ident, $name:literal, $weight:literal;)*) => {
        /// A verb of the governor's public interface, or of what it hands out.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Verb { $($verb,)* }

        impl Verb {
            /// All of them, in the order of the table.
            pub const ALL: [Self; [$($weight,)*].len()] = [$(Self::$verb,)*];

            /// The name it has in the interface.
            pub fn name(self) -> &'static str {
                [$($name,)*][self as usize]
            }

            /// How often it is in a deck.
            fn weight(self) -> usize {
                [$($weight,)*][self as usize]
            }
        }
    };
}

verbs! {
    TryRequest, "try_request", 10;
    Request, "request", 10;
    RequestOwned, "request_owned", 10;
    Reserve, "reserve", 13;
    Commit, "commit", 10;
    RequestAll, "request_all", 10;
    Acquire, "acquire", 10;
    Enqueue, "enqueue", 10;
    EnqueueOwned, "enqueue_owned", 10;
    RequestOrEnqueueOwned, "request_or_enqueue_owned", 18;
    Poll, "ticket.poll", 10;
    Await, "ticket.await", 10;
    Wait, "ticket.wait", 10;
    Cancel, "ticket.cancel", 10;
    LookAfter, "ticket.look_after", 10;
    IsReady, "ticket.is_ready", 10;
    IsGranted, "ticket.is_granted", 10;
    Estimate, "ticket.estimate", 10;
    BytesBefore, "ticket.bytes_before", 10;
    Grow, "grow", 10;
    GrowEvicting, "grow_evicting", 10;
    Shrink, "shrink", 10;
    TrueUp, "true_up", 10;
    Touch, "touch", 10;
    Pin, "pin", 10;
    Unpin, "unpin", 10;
    KeepAlive, "keep_alive", 10;
    BytesOf, "bytes_of", 10;
    IntoOwned, "grant.into_owned", 12;
    Release, "release", 42;
    Drop, "drop", 10;
    OnReclaim, "on_reclaim", 10;
    OnReclaimWithin, "on_reclaim_within", 10;
    ClearOnReclaim, "clear_on_reclaim", 10;
    OnTenantReclaim, "on_tenant_reclaim", 10;
    OnTenantReclaimWithin, "on_tenant_reclaim_within", 10;
    ClearOnTenantReclaim, "clear_on_tenant_reclaim", 10;
    NextVictim, "next_victim", 10;
    Decline, "decline", 10;
    EvictFor, "evict_for", 10;
    RegisterTenant, "register_tenant", 30;
    UnregisterIfIdle, "unregister_tenant, if idle", 10;
    UnregisterDrain, "unregister_tenant, drain", 10;
    UnregisterForce, "unregister_tenant, force", 10;
    SetTenant, "set_tenant", 10;
    TenantConfig, "tenant_config", 10;
    RegisterGroup, "register_group", 10;
    UnregisterGroup, "unregister_group", 10;
    SetGroup, "set_group", 10;
    GroupConfig, "group_config", 10;
    SetCapacity, "set_capacity", 10;
    Find, "find", 10;
    FindNamed, "find_named", 10;
    FindGroup, "find_group", 10;
    Balance, "balance", 10;
    BalanceWithoutEviction, "balance_without_eviction", 10;
    ReportPressure, "report_pressure", 10;
    Pressure, "pressure", 10;
    OnPressure, "on_pressure", 10;
    ClearOnPressure, "clear_on_pressure", 10;
    ReportMeasured, "report_measured", 10;
    ReportMeasuredProcess, "report_measured_process", 10;
    TakeShortfalls, "take_shortfalls", 10;
    Snapshot, "snapshot", 10;
    Groups, "groups", 10;
    Account, "account", 10;
    Usage, "usage", 10;
    TrackingBytes, "tracking_bytes", 10;
    Meter, "meter", 10;
    PoolMeter, "pool_meter", 10;
    UnclaimedBytes, "unclaimed_bytes", 10;
    Explain, "explain", 10;
    Attainable, "attainable", 10;
    LargestHolders, "largest_holders", 10;
    Name, "name", 10;
    CircularWait, "circular_wait", 10;
    Waiters, "waiters", 10;
    BytesAhead, "bytes_ahead", 10;
    EstimatedWait, "estimated_wait", 10;
    LeakReport, "leak_report", 10;
    OnLeak, "on_leak", 10;
    Events, "events", 10;
    EventsFrom, "events_from", 10;
    EventsAfter, "events_after", 10;
}

impl Verb {
    /// The verb that makes this one possible where it is not.
    pub fn prepared_by(self) -> Self {
        match self {
            Self::Commit => Self::Reserve,
            Self::Poll
            | Self::Await
            | Self::Wait
            | Self::Cancel
            | Self::LookAfter
            | Self::IsReady
            | Self::IsGranted
            | Self::Estimate
            | Self::BytesBefore => Self::RequestOrEnqueueOwned,
            Self::Enqueue | Self::EnqueueOwned | Self::RequestOrEnqueueOwned => Self::Cancel,
            Self::UnregisterIfIdle | Self::UnregisterDrain | Self::UnregisterForce => {
                Self::RegisterTenant
            }
            Self::RegisterTenant => Self::UnregisterForce,
            Self::UnregisterGroup => Self::RegisterGroup,
            Self::RegisterGroup => Self::UnregisterGroup,
            Self::Grow
            | Self::GrowEvicting
            | Self::Shrink
            | Self::TrueUp
            | Self::Touch
            | Self::Pin
            | Self::Unpin
            | Self::KeepAlive
            | Self::BytesOf
            | Self::Release
            | Self::Decline => Self::Request,
            Self::Drop => Self::RequestOwned,
            _ => Self::Release,
        }
    }
}

/// All verbs as often as their weights say, shuffled anew for each turn.
pub(super) struct Deck {
    cards: Vec<Verb>,
}

impl Deck {
    pub fn new() -> Self {
        let times = |&verb: &Verb| std::iter::repeat_n(verb, verb.weight());
        Self { cards: Verb::ALL.iter().flat_map(times).collect() }
    }

    /// Cards of one deck.
    pub fn size() -> u64 {
        Verb::ALL.iter().map(|verb| verb.weight() as u64).sum()
    }

    pub fn shuffle(&mut self, dice: &mut Dice) {
        for at in (1..self.cards.len()).rev() {
            self.cards.swap(at, dice.between(0, at as u64 + 1) as usize);
        }
    }

    pub fn card(&self, at: usize) -> Verb {
        self.cards[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_share_of_a_deck_and_room_for_what_prepares_others() {
        let mut deck = Deck::new();
        deck.shuffle(&mut Dice(7));
        assert_eq!(deck.cards.len() as u64, Deck::size());
        for verb in Verb::ALL {
            let times = deck.cards.iter().filter(|&&card| card == verb).count();
            assert_eq!(times, verb.weight(), "{}", verb.name());
            assert!(times as f64 > SHARE_MIN * 1.1 * Deck::size() as f64, "{}", verb.name());
        }
        assert_ne!(deck.cards[..8], Deck::new().cards[..8]);
    }
}
