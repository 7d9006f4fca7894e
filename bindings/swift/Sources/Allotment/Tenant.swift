// A tenant: the party whose bytes are counted. `Request.swift` and `Acquire.swift` have the verbs
// by which it gets memory.

import CAllotment
import Foundation

/// A registered tenant: an app, an agent, a model.
public struct Tenant: Sendable, Hashable {
    /// Whose it is.
    public let governor: Governor
    /// Its number, by which denials, victims and explanations name it.
    public let handle: UInt64

    /// Everything that is set of a tenant.
    public struct Configuration: Sendable, Hashable {
        /// Its id; none: one made of the name, always the same for the same name.
        public var id: UUID?
        /// Floor: always granted, never reclaimed.
        public var guarantee: ByteCount
        /// Ceiling; ``ByteCount/max``: the parent's.
        public var limit: ByteCount
        /// Higher ceiling while pressure is normal, with ``Isolation/soft``; none: the limit.
        public var burst: ByteCount?
        /// Who goes first when not all can.
        public var priority: Priority
        /// How strictly its own limits bind it.
        public var isolation: Isolation
        /// The order in which its grants go.
        public var policy: Policy
        /// Most live grants of a type; a type that is not there is not limited.
        public var grantsMax: [AllocationType: Int]
        /// Requests per time; none: not limited.
        public var rate: Rate?

        /// No guarantee, no limit, priority normal, unless said.
        public init(
            guarantee: ByteCount = 0, limit: ByteCount = .max, burst: ByteCount? = nil,
            priority: Priority = .normal, isolation: Isolation = .soft, policy: Policy = .hybrid,
            grantsMax: [AllocationType: Int] = [:], rate: Rate? = nil, id: UUID? = nil
        ) {
            self.id = id
            self.guarantee = guarantee
            self.limit = limit
            self.burst = burst
            self.priority = priority
            self.isolation = isolation
            self.policy = policy
            self.grantsMax = grantsMax
            self.rate = rate
        }
    }

    /// Who goes first when not all can, and how large a fair share is.
    public enum Priority: UInt32, Sendable, Hashable, Codable, CaseIterable {
        /// Weight 1; evicted first.
        case low
        /// Weight 2.
        case normal
        /// Weight 3.
        case high
        /// Weight 4; evicted last.
        case critical
    }

    /// How strictly a tenant's own limits bind it. The capacity binds everybody always.
    public enum Isolation: UInt32, Sendable, Hashable, Codable, CaseIterable {
        /// Its limits are ignored; its guarantee is kept.
        case none
        /// Up to the burst limit while pressure is normal, the limit when it is high, the fair
        /// share when it is critical.
        case soft
        /// Its limit, whatever the pressure.
        case hard
    }

    /// The order in which the grants of a tenant go.
    public enum Policy: UInt32, Sendable, Hashable, Codable, CaseIterable {
        /// Least recently touched first.
        case lru
        /// Least often touched first.
        case lfu
        /// Soonest to expire first.
        case ttl
        /// Largest first.
        case size
        /// Least value per byte first.
        case hybrid
    }

    /// How often a tenant may ask.
    public struct Rate: Sendable, Hashable {
        /// Time per request.
        public var interval: Duration
        /// Requests that may come at once when it has been quiet, at least 1.
        public var atOnce: Int

        /// One request for each `interval`, `atOnce` of them after a pause.
        public init(every interval: Duration, atOnce: Int = 1) {
            self.interval = interval
            self.atOnce = atOnce
        }
    }

    /// What becomes of a tenant's grants when it is unregistered.
    public enum Unregister: UInt32, Sendable, Hashable {
        /// Refuse while it holds grants.
        case ifIdle
        /// No new grants; the live ones run on until they are released.
        case drain
        /// All grants end now.
        case force
    }

    /// What people call it.
    public func name() throws(Fault) -> String {
        try governor.checkOpen()
        var status = ALLOT_OK
        let name = text {
            status = allot_tenant_name(governor.pointer, handle, $0, $1, $2)
            return status
        }
        try okay(status)
        return name
    }

    /// What it is set to now.
    public func configuration() throws(Fault) -> Configuration {
        try governor.checkOpen()
        var config = callot_tenant_config()
        try okay(allot_tenant_get(governor.pointer, handle, &config))
        return Configuration(config)
    }

    /// Changes everything but its id while it runs. A limit below what is used takes nothing away.
    public func update(_ configuration: Configuration) throws(Fault) {
        try governor.checkOpen()
        var config = configuration.c
        try again { allot_tenant_update(governor.pointer, handle, &config) }
    }

    /// Unregisters it. Tasks that wait for its turn throw ``Fault/Code/gone``.
    public func unregister(_ how: Unregister = .ifIdle) throws(Fault) {
        try governor.checkOpen()
        try okay(allot_tenant_unregister(governor.pointer, handle, how.rawValue))
    }

    /// Reports what it really holds, however that was measured; none: it is not measured any more.
    /// What it holds beyond its grants counts as pressure.
    public func reportMeasured(_ bytes: ByteCount?) throws(Fault) {
        try governor.checkOpen()
        try okay(
            allot_report_measured(governor.pointer, handle, bytes?.bytes ?? ALLOT_UNKNOWN))
    }

    public static func == (left: Tenant, right: Tenant) -> Bool {
        left.governor === right.governor && left.handle == right.handle
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(handle)
    }
}

extension Tenant.Configuration {
    init(_ c: allot_tenant_config) {
        let most = withUnsafeBytes(of: c.grants_max) { Array($0.bindMemory(to: UInt32.self)) }
        let limited = zip(AllocationType.allCases, most).filter { $1 != ALLOT_ANY_COUNT }
        self.init(
            guarantee: ByteCount(c.guarantee_bytes), limit: ByteCount(c.limit_bytes),
            burst: c.burst_bytes == ALLOT_UNLIMITED ? nil : ByteCount(c.burst_bytes),
            priority: .init(rawValue: c.priority) ?? .normal,
            isolation: .init(rawValue: c.isolation) ?? .soft,
            policy: .init(rawValue: c.policy) ?? .hybrid,
            grantsMax: Dictionary(uniqueKeysWithValues: limited.map { ($0, Int($1)) }),
            rate: c.rate_interval_ns == 0
                ? nil
                : .init(
                    every: Duration(ns: c.rate_interval_ns),
                    atOnce: Int(clamping: c.rate_bucket_depth)),
            id: UUID(uuid: c.id))
    }

    var c: allot_tenant_config {
        var c = callot_tenant_config()
        c.id = (id ?? UUID(uuid: c.id)).uuid
        c.guarantee_bytes = guarantee.bytes
        c.limit_bytes = limit.bytes
        c.burst_bytes = burst?.bytes ?? ALLOT_UNLIMITED
        c.priority = priority.rawValue
        c.isolation = isolation.rawValue
        c.policy = policy.rawValue
        withUnsafeMutableBytes(of: &c.grants_max) { most in
            for (type, count) in grantsMax {
                most.bindMemory(to: UInt32.self)[Int(type.rawValue)] = UInt32(clamping: count)
            }
        }
        if let rate {
            c.rate_interval_ns = rate.interval.ns
            c.rate_bucket_depth = UInt64(clamping: rate.atOnce)
        }
        return c
    }
}

extension Governor {
    /// Registers a tenant, in a group or directly below the pool. Its guarantee is paid for when
    /// this returns.
    public func registerTenant(
        _ name: String, in group: Group? = nil, _ configuration: Tenant.Configuration = .init()
    ) throws(Fault) -> Tenant {
        try checkOpen()
        var config = configuration.c
        config.parent = group?.handle ?? 0
        var handle: allot_tenant = 0
        try okay(
            with(name) {
                config.name = $0
                config.name_length = $1
                return allot_tenant_register(pointer, &config, &handle)
            })
        return Tenant(governor: self, handle: handle)
    }

    /// The tenant of that name, if there is one.
    public func tenant(named name: String) throws(Fault) -> Tenant? {
        try checkOpen()
        var handle: allot_tenant = 0
        let status = with(name) { allot_tenant_find_name(pointer, $0, $1, &handle) }
        try okay(status)
        return status == ALLOT_OK ? Tenant(governor: self, handle: handle) : nil
    }

    /// The tenant of that id, if there is one.
    public func tenant(id: UUID) throws(Fault) -> Tenant? {
        try checkOpen()
        var handle: allot_tenant = 0
        let status = withUnsafeBytes(of: id.uuid) {
            allot_tenant_find(pointer, $0.bindMemory(to: UInt8.self).baseAddress, &handle)
        }
        try okay(status)
        return status == ALLOT_OK ? Tenant(governor: self, handle: handle) : nil
    }
}
