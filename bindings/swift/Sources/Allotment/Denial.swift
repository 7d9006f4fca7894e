// A denial, with all that the C ABI says of it.

import CAllotment

/// The account that a denial or an explanation speaks of.
public enum Account: Sendable, Hashable, Codable {
    /// The whole.
    case pool
    /// A group, by its number: ``Group/handle``.
    case group(UInt64)
    /// A tenant, by its number: ``Tenant/handle``.
    case tenant(UInt64)

    init(_ kind: allot_account_kind, _ handle: UInt64) {
        switch Int32(kind) {
        case ALLOT_ACCOUNT_GROUP: self = .group(handle)
        case ALLOT_ACCOUNT_TENANT: self = .tenant(handle)
        default: self = .pool
        }
    }
}

/// Why a request was denied.
public struct Denial: Sendable, Hashable, Codable {
    /// Which check refused.
    public let reason: Reason
    /// The account at which it refused.
    public let account: Account
    /// Whether the same request can succeed later without a change of configuration.
    public let waitingCanHelp: Bool
    /// What was asked for.
    public let asked: ByteCount
    /// What is missing at that account; none where bytes are not what is short.
    public let short: ByteCount
    /// What that account had left.
    public let available: ByteCount
    /// The limit that applied: bytes, or grants for ``Reason/grantCount``.
    public let limit: UInt64
    /// When the same request can succeed, if that is known.
    public let retryAfter: Duration?
    /// Bytes of grants in the way that are pinned or kept alive.
    public let pinned: ByteCount
    /// One of those grants, by its number.
    public let pinnedFirst: UInt64?
    /// How many were met.
    public let pinnedGrants: Int

    /// Which check refused. Later libraries may have more.
    public struct Reason: RawRepresentable, Sendable, Hashable, Codable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        private init(_ number: Int32) { rawValue = UInt32(number) }

        /// The tenant's own limit in force.
        public static let tenantLimit = Reason(ALLOT_REASON_TENANT_LIMIT)
        /// The limit of a group above the tenant.
        public static let groupLimit = Reason(ALLOT_REASON_GROUP_LIMIT)
        /// The capacity of the whole.
        public static let capacity = Reason(ALLOT_REASON_CAPACITY)
        /// The tenant's limit on the number of grants of this type.
        public static let grantCount = Reason(ALLOT_REASON_GRANT_COUNT)
        /// The tenant's rate of requests.
        public static let rateLimit = Reason(ALLOT_REASON_RATE_LIMIT)
        /// The table of grants is full.
        public static let slotsExhausted = Reason(ALLOT_REASON_SLOTS_EXHAUSTED)
        /// The bound of steps ran out before the answer was certain: ask again.
        public static let contended = Reason(ALLOT_REASON_CONTENDED)
        /// The request waited for its turn, which did not come in time.
        public static let waitedTooLong = Reason(ALLOT_REASON_WAITED_TOO_LONG)
        /// As many requests wait as can.
        public static let waitersExhausted = Reason(ALLOT_REASON_WAITERS_EXHAUSTED)
        /// The audit log has no room for the records, and nothing is granted without them.
        public static let auditFull = Reason(ALLOT_REASON_AUDIT_FULL)
    }

    init(_ denial: allot_denial) {
        reason = Reason(rawValue: denial.reason)
        account = Account(denial.account_kind, denial.account)
        waitingCanHelp = denial.waiting_can_help != 0
        asked = ByteCount(denial.asked_bytes)
        short = ByteCount(denial.short_bytes)
        available = ByteCount(denial.available_bytes)
        limit = denial.limit
        retryAfter = Duration(known: denial.retry_after_ns)
        pinned = ByteCount(denial.pinned_bytes)
        pinnedFirst = denial.pinned_first == 0 ? nil : denial.pinned_first
        pinnedGrants = Int(denial.pinned_grants)
    }
}

extension Denial.Reason: CustomStringConvertible {
    /// The check, for people.
    public var description: String {
        switch self {
        case .tenantLimit: "the tenant's own limit"
        case .groupLimit: "the limit of a group above the tenant"
        case .capacity: "the capacity of the whole"
        case .grantCount: "the tenant's limit on grants of this type"
        case .rateLimit: "the tenant's rate of requests"
        case .slotsExhausted: "the table of grants is full"
        case .contended: "other threads are at the same account"
        case .waitedTooLong: "its turn did not come in time"
        case .waitersExhausted: "as many requests wait as can"
        case .auditFull: "the audit log has no room"
        default: "reason \(rawValue)"
        }
    }
}

extension Denial: CustomStringConvertible {
    /// What was asked for, which check refused, what is short, and whether waiting can help.
    public var description: String {
        let missing = short.bytes > 0 ? ", \(short) short" : ""
        let held = pinnedGrants > 0 ? ", \(pinned) in the way are pinned" : ""
        return "\(asked) refused by \(reason)\(missing)\(held);"
            + (waitingCanHelp ? " waiting can help" : " waiting cannot help")
    }
}

extension Duration {
    /// Nanoseconds of the C ABI, where `ALLOT_UNKNOWN` is none.
    init?(known ns: UInt64) {
        if ns == ALLOT_UNKNOWN { return nil }
        self.init(ns: ns)
    }

    init(ns: UInt64) {
        let second: UInt64 = 1_000_000_000
        self.init(
            secondsComponent: Int64(ns / second),
            attosecondsComponent: Int64(ns % second) * 1_000_000_000)
    }

    /// Nanoseconds for the C ABI: none if negative, at most one less than for ever.
    var ns: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, tooLong) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow) = whole.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        return tooLong || overflow ? ALLOT_FOREVER - 1 : min(sum, ALLOT_FOREVER - 1)
    }
}
