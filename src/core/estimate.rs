//! How long a waiter will wait: what the line owes before its turn, at the rate it gave out lately.
//!
//! ```text
//! wait  = owed x waited / bytes                                       (`turnover.rs`)
//! owed  = bytes wanted by itself and by those who come before it
//!         - bytes set aside for them - bytes free where it is short
//! ```
//!
//! Before it come those who stand before it and wait for bytes of others, save
//!
//! - who will have given up by the time of its own turn, at this rate;
//! - who is not aged by then and wants more than this waiter by half a *lump*, the bytes that are
//!   handed out at one time on average: free bytes grow by lumps, and once they are enough for the
//!   smaller one they are, half the time, enough for another half a lump.
//!
//! Nobody knows who will ask later and be due earlier, or fit sooner: it is an estimate, not a
//! promise.
//!
//! None, that is unknown, where the rate says nothing: too little was handed out so far, or the
//! waiter is at a limit of its own tenant, or short of something else than bytes. Where a group is
//! short, the rate of the whole line stands in for the group's.
//!
//! Steps grow with the line; nothing blocks and nothing is changed.

use super::Core;
use super::account::Obstacle;
use super::admission::Ask;
use super::waiters::Ticket;

impl Core {
    /// How long a waiter will still wait, from `now_ns` on; none if that is unknown, or if it does
    /// not stand in line.
    pub fn wait_ns(&self, ticket: Ticket, now_ns: u64) -> Option<u64> {
        let waiting = &self.waiting;
        let before = waiting.standing().position(|cell| cell == ticket.index)?;
        let ask = waiting.waiters.ask(ticket.index, now_ns);
        let aside = self.aside_for(ticket.index);
        self.wait_behind(before, &ask, ask.bytes - aside.min(ask.bytes), now_ns)
    }

    /// How long a request would wait that entered the line at `now_ns`; none if that is unknown.
    pub fn wait_ns_of(&self, ask: &Ask, now_ns: u64) -> Option<u64> {
        self.wait_behind(self.waiters_before(ask), ask, ask.bytes, now_ns)
    }

    /// The wait behind so many for the bytes of `ask` that are missing.
    fn wait_behind(&self, before: usize, ask: &Ask, missing: u64, now_ns: u64) -> Option<u64> {
        let free = match self.accounts.shortage(ask.account, missing) {
            Some(Obstacle::Full { account, .. }) if account == ask.account => return None,
            Some(Obstacle::Full { used, limit, .. }) => limit.saturating_sub(used),
            // Bytes are not what it waits for, or it is its turn.
            _ => return None,
        };
        let lately = self.waiting.turnover.lately(now_ns)?;
        let mut wait_ns = 0;
        // Who is aged by then is known once the wait is known, nearly.
        for _ in 0..2 {
            let aged_ns = now_ns.saturating_add(wait_ns);
            let mut owed = 0_u64;
            for cell in self.waiting.standing().take(before) {
                let wants = self.owed_to(cell);
                let turn_ns = lately.wait_ns(owed.saturating_add(wants).saturating_sub(free))?;
                let turn_ns = now_ns.saturating_add(turn_ns);
                let larger = wants > missing.saturating_add(lately.lump() / 2);
                let is_passed = larger && !self.waiting.is_aged(cell, aged_ns);
                let gives_up = turn_ns > self.waiting.waiters.deadline_ns(cell);
                if !is_passed && !gives_up {
                    owed = owed.saturating_add(wants);
                }
            }
            wait_ns = lately.wait_ns(owed.saturating_add(missing).saturating_sub(free))?;
        }
        Some(wait_ns)
    }

    /// Bytes owed to those behind whom a request would stand that entered the line now.
    pub fn owed_before(&self, ask: &Ask) -> u64 {
        self.owed_to_first(self.waiters_before(ask))
    }

    fn owed_to_first(&self, count: usize) -> u64 {
        let owed = self.waiting.standing().take(count).map(|cell| self.owed_to(cell));
        owed.fold(0, u64::saturating_add)
    }

    /// Bytes that somebody in line takes out of what comes free for all.
    fn owed_to(&self, cell: u32) -> u64 {
        let waiters = &self.waiting.waiters;
        let ask = waiters.ask(cell, 0);
        let missing = ask.bytes.saturating_sub(self.aside_for(cell));
        match self.accounts.shortage(ask.account, missing) {
            _ if !waiters.is_waiting(cell) => 0,
            Some(Obstacle::Full { account, .. }) if account == ask.account => 0,
            _ => missing,
        }
    }

    /// Bytes set aside for a waiter.
    fn aside_for(&self, cell: u32) -> u64 {
        let waiting = &self.waiting;
        if waiting.senior() == Some(cell) { waiting.aside_bytes() } else { 0 }
    }
}
