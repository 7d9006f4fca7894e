//! What is left for whom, and who holds the most: the part of an explanation that every denial can
//! afford.

use crate::core::account::ROOT;
use crate::core::order::{Goal, Sums};
use crate::core::sync::lock;
use crate::error::{AccountName, Error};
use crate::explain::{Gone, Holder};
use crate::governor::Governor;
use crate::registration::Admin;
use crate::request::Request;

/// Times a smaller request is looked at: once for each level that may refuse, and once more.
const LOOKS_MAX: u32 = 8;

impl Governor {
    /// The most bytes, at most those asked for, that `request` could be granted now, counting what
    /// would be evicted for it. Changes nothing; rate, numbers of grants and the table of grants
    /// are not consulted. Tenants of equal priority count as far as the whole request would let
    /// them go; where a guarantee keeps whole grants from going it is an upper bound.
    ///
    /// Steps grow with the number of tenants, and with grants until enough are found that may go.
    ///
    /// # Errors
    ///
    /// As [`Governor::request`] for misuse.
    pub fn attainable(&self, request: &Request) -> Result<u64, Error> {
        let mut ask = self.ask(request)?;
        self.check_registered(request.tenant)?;
        ask.now_ns = self.clock().now_ns();
        let core = &self.core;
        let (used, leaving) = (|a| core.in_grants(a), |a| core.freeing(a).bytes());
        let sums = Sums { used: &used, leaving: &leaving };
        let mut gone = Gone::new();
        for (owner, bytes) in self.expired(ask.now_ns) {
            *gone.entry(owner.account()).or_default() += bytes;
        }
        for _ in 0..LOOKS_MAX {
            let missing = self.obstructions(&ask, &gone).into_iter().map(|o| {
                let shortage = self.shortage(&ask, o.account, Goal::Bytes(o.short));
                o.short.saturating_sub(core.could_free(&shortage, o.short, sums))
            });
            match missing.max().unwrap_or(0) {
                0 => return Ok(ask.bytes),
                missing if missing >= ask.bytes => return Ok(0),
                missing => ask.bytes -= missing,
            }
        }
        Ok(0)
    }

    /// The tenants below an account, or the tenant itself, that hold the most: at most five,
    /// largest first, none that holds nothing. Steps grow with the number of tenants.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] or [`Error::Foreign`] for an account that is not registered here.
    pub fn largest_holders(&self, account: AccountName) -> Result<Vec<Holder>, Error> {
        let admin = lock(&self.admin);
        Ok(self.holders(&admin, self.account_of(&admin, account)?))
    }

    /// What people call an account.
    ///
    /// # Errors
    ///
    /// As [`Governor::largest_holders`].
    pub fn name(&self, account: AccountName) -> Result<String, Error> {
        let admin = lock(&self.admin);
        Ok(admin.name_of(self.account_of(&admin, account)?))
    }

    /// The index of a registered account. It may be another's once the mutex is let go.
    fn account_of(&self, admin: &Admin, account: AccountName) -> Result<u32, Error> {
        match account {
            AccountName::Pool => Ok(ROOT),
            AccountName::Group(group) => self.group_node(admin, group),
            AccountName::Tenant(tenant) => self.tenant_node(admin, tenant),
        }
    }
}
