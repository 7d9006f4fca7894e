// What would decide a request now, as values and as a text for people.

import CAllotment

/// What would decide a request now. Exact at rest.
public struct Explanation: Sendable, Hashable, Codable {
    /// The whole of it, for people.
    public let text: String
    /// The check that refuses; none: the request would be granted at once.
    public let reason: Denial.Reason?
    /// The account that refuses.
    public let account: Account
    /// Whether the same request can succeed later without a change of configuration.
    public let waitingCanHelp: Bool
    /// What was asked for.
    public let asked: ByteCount
    /// What is missing at the account that refuses.
    public let short: ByteCount
    /// What is in use there, guarantees that are not used included.
    public let used: ByteCount
    /// Its limit in force: bytes, or grants for ``Denial/Reason/grantCount``.
    public let limit: UInt64
    /// Bytes of the grants that a request would evict.
    public let plan: ByteCount
    /// Grants that a request would evict.
    public let planGrants: Int
    /// Bytes still missing after that; none: the request would be granted.
    public let planMissing: ByteCount
    /// Bytes of grants in the way that are pinned or kept alive.
    public let pinned: ByteCount
    /// How many those are.
    public let pinnedGrants: Int
    /// The largest holders below the account that refuses, largest first.
    public let holders: [Holder]
    /// The first grants that would be evicted, in that order.
    public let victims: [Held]
    /// The first grants in the way that are pinned or kept alive, by their numbers.
    public let pinnedFirst: [UInt64]

    /// A tenant, and what it holds.
    public struct Holder: Sendable, Hashable, Codable {
        /// The tenant, by its number: ``Tenant/handle``.
        public let tenant: UInt64
        /// What it holds.
        public let bytes: ByteCount
    }

    /// A grant, and what it holds.
    public struct Held: Sendable, Hashable, Codable {
        /// The grant, by its number: ``Grant/id``.
        public let grant: UInt64
        /// What it holds.
        public let bytes: ByteCount
    }

    init(_ c: allot_explanation, text: String) {
        self.text = text
        reason = c.reason == 0 ? nil : Denial.Reason(rawValue: c.reason)
        account = Account(c.account_kind, c.account)
        waitingCanHelp = c.waiting_can_help != 0
        asked = ByteCount(c.asked_bytes)
        short = ByteCount(c.short_bytes)
        used = ByteCount(c.used_bytes)
        limit = c.limit
        plan = ByteCount(c.plan_bytes)
        planGrants = Int(c.plan_grants)
        planMissing = ByteCount(c.plan_missing_bytes)
        pinned = ByteCount(c.pinned_bytes)
        pinnedGrants = Int(c.pinned_grants)
        holders = zip(numbers(c.holders), numbers(c.holder_bytes)).prefix(Int(c.holders_count))
            .map { Holder(tenant: $0, bytes: ByteCount($1)) }
        victims = zip(numbers(c.victims), numbers(c.victim_bytes)).prefix(Int(c.victims_count))
            .map { Held(grant: $0, bytes: ByteCount($1)) }
        pinnedFirst = Array(numbers(c.pinned).prefix(Int(c.pinned_count)))
    }
}

extension Explanation: CustomStringConvertible {
    /// The text for people.
    public var description: String { text }
}

extension Tenant {
    /// Says what would decide a request now: who refuses, who holds the most, what would be evicted
    /// for it, what is in the way, and whether waiting can help. Changes nothing.
    public func explain(
        _ size: ByteCount, for type: AllocationType, _ options: RequestOptions = .init()
    ) throws(Fault) -> Explanation {
        try governor.checkOpen()
        var request = spec(size, type, options)
        var explanation = callot_explanation()
        var status = ALLOT_OK
        let text = text {
            status = allot_explain(governor.pointer, &request, &explanation, $0, $1, $2)
            return status
        }
        try okay(status)
        return Explanation(explanation, text: text)
    }
}

/// A C array of numbers, which Swift sees as a tuple.
private func numbers<Tuple>(_ tuple: Tuple) -> [UInt64] {
    withUnsafeBytes(of: tuple) { Array($0.bindMemory(to: UInt64.self)) }
}
