// The front door: a governor, how it is set up, and how it ends.
//
//   the C governor lives  <=>  this object lives
//   every tenant, group and grant keeps this object alive; no handler and no stream does
//
//   who asks            Tenant.swift, Group.swift, Request.swift, Acquire.swift
//   what is held        Grant.swift, SharedGrant.swift; both by Holding.swift
//   what is asked back  Reclaim.swift
//   what is seen        Pressure.swift, Events.swift, Snapshot.swift, Explanation.swift

import CAllotment

/// Many tenants share the memory of one governor, and nobody over-commits it.
///
/// ```swift
/// let governor = try Governor(capacity: .gib(24))
/// let chat = try governor.registerTenant("chat", .init(guarantee: .gib(8)))
/// let grant = try await chat.acquire(.gib(4), for: .inference)
/// ```
///
/// Any task and thread may call it. It lives until its last tenant, group and grant has gone;
/// ``close()`` ends it earlier for all who call it.
public final class Governor: @unchecked Sendable {
    let pointer: OpaquePointer
    /// Raised by ``close()``. Beside the C object, which lives on for the grants that are held.
    private let closed: UnsafeMutablePointer<UInt32>
    let keepsEvents: Bool
    let waiting = WaitingRoom()
    let pressureListeners = Listeners<Pressure>()
    let failureListeners = Listeners<HandlerFailure>()

    /// A governor over so many bytes, everything else by default.
    public convenience init(capacity: ByteCount) throws(Fault) {
        try self.init(Configuration(capacity: capacity))
    }

    /// A governor as configured.
    public convenience init(_ configuration: Configuration) throws(Fault) {
        var pointer: OpaquePointer?
        var config = configuration.c
        try okay(allot_governor_new(&config, &pointer))
        self.init(taking: pointer, keepsEvents: config.events_max > 0)
    }

    /// A governor by the text of a configuration file, with its groups and tenants registered:
    /// ``tenant(named:)`` and ``group(named:)`` find them. What such a text cannot say is taken
    /// from `configuration`.
    public convenience init(toml: String, _ configuration: Configuration? = nil) throws(Fault) {
        var pointer: OpaquePointer?
        // Capacity comes from the text; a number that is in range is needed all the same.
        var config = (configuration ?? Configuration(capacity: 1)).c
        try okay(
            with(toml) { allot_governor_new_toml($0, $1, &config, &pointer) })
        self.init(taking: pointer, keepsEvents: config.events_max > 0)
    }

    private init(taking pointer: OpaquePointer?, keepsEvents: Bool) {
        guard let pointer else { preconditionFailure("the library answers ok without a governor") }
        self.pointer = pointer
        self.keepsEvents = keepsEvents
        closed = .allocate(capacity: 1)
        closed.initialize(to: 0)
        // By the objects that listen, not by this one: a callback of the library keeps nothing
        // alive.
        setPressureCallback()
    }

    deinit {
        pressureListeners.finish()
        failureListeners.finish()
        allot_governor_free(pointer)
        closed.deallocate()
    }

    /// Ends the governor for all who call it: later calls throw ``Fault/Code/closed``, and so do
    /// the tasks that wait for their turn. Streams end, and eviction handlers are let go. Grants
    /// stay what they are until they are released.
    public func close() {
        guard callot_raise(closed) else { return }
        waiting.close()
        pressureListeners.finish()
        failureListeners.finish()
        _ = allot_on_reclaim(pointer, 0, nil, nil, nil)
        _ = allot_on_pressure(pointer, nil, nil, nil)
        for handle in tenants() { _ = allot_tenant_on_reclaim(pointer, handle, 0, nil, nil, nil) }
    }

    /// Whether ``close()`` was called.
    public var isClosed: Bool { callot_is_raised(closed) }

    /// Throws where no call is taken any more.
    @inline(__always)
    func checkOpen() throws(Fault) {
        if isClosed { throw .closed }
    }

    /// Whether it is well: it throws in a fork of the process that made it, and after the library
    /// has had a fault.
    public func check() throws(Fault) {
        try checkOpen()
        try okay(allot_governor_check(pointer))
    }

    /// Changes the capacity while everything runs. Below what is in use nothing is taken away.
    public func setCapacity(_ capacity: ByteCount) throws(Fault) {
        try checkOpen()
        try okay(allot_governor_set_capacity(pointer, capacity.bytes))
    }

    /// The time by its clock, since it was made: that of ``Event/time``.
    public func now() throws(Fault) -> Duration {
        try checkOpen()
        var ns: UInt64 = 0
        try okay(allot_clock_now_ns(pointer, &ns))
        return Duration(ns: ns)
    }

    /// Moves a manual clock on.
    public func advanceClock(by duration: Duration) throws(Fault) {
        try checkOpen()
        try okay(allot_clock_advance_ns(pointer, duration.ns))
    }
}

extension Governor: Equatable {
    /// The same object.
    public static func == (left: Governor, right: Governor) -> Bool { left === right }
}

extension Governor {
    /// How a governor is set up. Everything but the capacity has a default.
    public struct Configuration: Sendable, Hashable {
        /// What there is to share.
        public var capacity: ByteCount
        /// Most tenants registered at once. Costs address space, not memory.
        public var tenantsMax: Int
        /// Most groups registered at once.
        public var groupsMax: Int
        /// Most live grants. Costs address space, not memory.
        public var grantsMax: Int
        /// Content keys whose frequency is remembered after eviction.
        public var ghostKeysMax: Int
        /// Events kept for ``Governor/events(_:keeping:every:)``; 0, the default: none are
        /// recorded, and requests are quicker.
        public var eventsMax: Int
        /// Most requests that wait at once; 0: nobody can wait.
        public var waitersMax: Int
        /// Most grants evicted for one request.
        public var victimsMax: Int
        /// How long who waits may be passed over by smaller ones before bytes are set aside.
        public var patience: Duration
        /// Claim bought beyond the need while the pool is far from full.
        public var quantum: ByteCount
        /// Bytes freed beyond a shortage when victims are evicted for it.
        public var headroom: ByteCount
        /// For how long a victim whose owner answered busy is left alone.
        public var busyCooldown: Duration
        /// Within what time a deferred victim has to be released; none: it may take for ever.
        public var promise: Duration?
        /// Within what time memory that was said to be freed has to show in measurements.
        public var freedShows: Duration
        /// After what time without a request a tenant's idle claim goes back; none: never.
        public var idleClaim: Duration?
        /// After what time without a request a tenant's ceiling comes down while memory is short;
        /// none: never.
        public var inactiveLimit: Duration?
        /// Whether the fill of the pool counts as pressure.
        public var poolPressure: Bool
        /// Percent of capacity at which a warning is raised.
        public var warningPercent: Int
        /// Percent of capacity at which pressure is high.
        public var highPercent: Int
        /// Percent of capacity at which pressure is critical.
        public var criticalPercent: Int
        /// Percentage points below a threshold at which its level ends.
        public var hysteresisPercent: Int
        /// Percent of live bytes that a step of the balancer frees at high pressure.
        public var highReliefPercent: Int
        /// Percent of live bytes that a step of the balancer frees at critical pressure.
        public var criticalReliefPercent: Int
        /// A clock that stands still until ``Governor/advanceClock(by:)``, for tests.
        public var manualClock: Bool

        /// The defaults of the library.
        public init(capacity: ByteCount) {
            let c = callot_config()
            self.capacity = capacity
            tenantsMax = Int(c.tenants_max)
            groupsMax = Int(c.groups_max)
            grantsMax = Int(c.grants_max)
            ghostKeysMax = Int(c.ghost_keys_max)
            eventsMax = Int(c.events_max)
            waitersMax = Int(c.waiters_max)
            victimsMax = Int(c.victims_max)
            patience = Duration(ns: c.patience_ns)
            quantum = ByteCount(c.quantum_bytes)
            headroom = ByteCount(c.headroom_bytes)
            busyCooldown = Duration(ns: c.busy_cooldown_ns)
            promise = Duration(known: c.promise_ns)
            freedShows = Duration(ns: c.freed_shows_ns)
            idleClaim = Duration(known: c.idle_claim_ns)
            inactiveLimit = Duration(known: c.inactive_limit_ns)
            poolPressure = c.pool_pressure != 0
            warningPercent = Int(c.warning_percent)
            highPercent = Int(c.high_percent)
            criticalPercent = Int(c.critical_percent)
            hysteresisPercent = Int(c.hysteresis_percent)
            highReliefPercent = Int(c.high_relief_percent)
            criticalReliefPercent = Int(c.critical_relief_percent)
            manualClock = c.clock == UInt32(ALLOT_CLOCK_MANUAL)
        }

        /// Numbers that do not fit are the nearest that do, which the library then refuses by name.
        var c: allot_config {
            var c = callot_config()
            c.capacity_bytes = capacity.bytes
            c.tenants_max = UInt32(clamping: tenantsMax)
            c.groups_max = UInt32(clamping: groupsMax)
            c.grants_max = UInt32(clamping: grantsMax)
            c.ghost_keys_max = UInt32(clamping: ghostKeysMax)
            c.events_max = UInt32(clamping: eventsMax)
            c.waiters_max = UInt32(clamping: waitersMax)
            c.victims_max = UInt32(clamping: victimsMax)
            c.patience_ns = patience.ns
            c.quantum_bytes = quantum.bytes
            c.headroom_bytes = headroom.bytes
            c.busy_cooldown_ns = busyCooldown.ns
            c.promise_ns = promise?.ns ?? ALLOT_FOREVER
            c.freed_shows_ns = freedShows.ns
            c.idle_claim_ns = idleClaim?.ns ?? ALLOT_FOREVER
            c.inactive_limit_ns = inactiveLimit?.ns ?? ALLOT_FOREVER
            c.pool_pressure = poolPressure ? 1 : 0
            c.warning_percent = UInt32(clamping: warningPercent)
            c.high_percent = UInt32(clamping: highPercent)
            c.critical_percent = UInt32(clamping: criticalPercent)
            c.hysteresis_percent = UInt32(clamping: hysteresisPercent)
            c.high_relief_percent = UInt32(clamping: highReliefPercent)
            c.critical_relief_percent = UInt32(clamping: criticalReliefPercent)
            c.clock = UInt32(manualClock ? ALLOT_CLOCK_MANUAL : ALLOT_CLOCK_MONOTONIC)
            return c
        }
    }
}

/// Throws what an error says. Answers that are no fault, above 0, are the caller's business.
@inline(__always)
func okay(_ status: allot_status) throws(Fault) {
    if status < ALLOT_OK { throw Fault(status: status) }
}

/// A text as the C ABI takes it, for the time of a call.
func with<Answer>(_ text: String, _ body: (UnsafePointer<CChar>?, UInt64) -> Answer) -> Answer {
    var text = text
    return text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) { body($0.baseAddress, UInt64($0.count)) }
    }
}
