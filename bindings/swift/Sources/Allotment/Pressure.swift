// How short memory is: what is reported, who is told, and the balancer, which acts on it.

import CAllotment

/// How short memory is.
public enum Pressure: UInt32, Sendable, Hashable, Codable, CaseIterable, Comparable {
    /// There is enough.
    case normal
    /// Background work and caches give way; bursts end.
    case high
    /// Everything above its fair share gives way.
    case critical

    /// A level of a later library is as bad as the worst that is known.
    init(_ level: allot_pressure_level) {
        self = Pressure(rawValue: level) ?? .critical
    }

    /// Whether there is more left at the first than at the second.
    public static func < (left: Pressure, right: Pressure) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// What a step of the balancer saw and did.
public struct BalanceReport: Sendable, Hashable, Codable {
    /// Pressure before anything was freed.
    public let pressure: Pressure
    /// Bytes in live grants before anything was freed.
    public let live: ByteCount
    /// Bytes that are free now.
    public let freed: ByteCount
    /// Bytes whose owners promised to free them.
    public let deferred: ByteCount
    /// Grants that ended.
    public let evictedGrants: Int
    /// Reservations that were given back because nobody committed them.
    public let reservationsExpired: Int
}

extension Governor {
    /// The pressure in force.
    public func pressure() throws(Fault) -> Pressure {
        try checkOpen()
        var level: allot_pressure_level = 0
        try okay(allot_pressure(pointer, &level))
        return Pressure(level)
    }

    /// Reports how short the machine is, by what the operating system tells. It can only raise the
    /// pressure that the pool's own fill makes.
    public func reportPressure(_ level: Pressure) throws(Fault) {
        try checkOpen()
        try okay(allot_report_pressure(pointer, level.rawValue))
    }

    /// Reports what the process as a whole really holds; none: it is not measured any more. For
    /// processes that hold little beside what is granted here.
    public func reportMeasured(process bytes: ByteCount?) throws(Fault) {
        try checkOpen()
        try okay(allot_report_measured_process(pointer, bytes?.bytes ?? ALLOT_UNKNOWN))
    }

    /// The levels of pressure from now on, each time it is another one; the newest `count` are
    /// kept. How full the pool is shows by ``balance(evicting:)``: without it nobody is told of
    /// that.
    public func pressures(keeping count: Int = 16) -> AsyncStream<Pressure> {
        pressureListeners.stream(keeping: count)
    }

    /// One step of the balancer: gives back what has run out, evaluates pressure and fair shares,
    /// and frees memory while it is short, if it may evict.
    @discardableResult
    public func balance(evicting: Bool = true) throws(Fault) -> BalanceReport {
        try checkOpen()
        var report = callot_balance_report()
        try okay(allot_balance(pointer, evicting ? 1 : 0, &report))
        return BalanceReport(
            pressure: Pressure(report.pressure), live: ByteCount(report.live_bytes),
            freed: ByteCount(report.freed_bytes), deferred: ByteCount(report.deferred_bytes),
            evictedGrants: Int(report.evicted_grants),
            reservationsExpired: Int(report.reservations_expired))
    }

    /// Balances again and again, until the task is cancelled or the governor closed. Eviction
    /// handlers run within it.
    ///
    /// ```swift
    /// let balancer = Task { try await governor.keepBalanced() }
    /// ```
    public func keepBalanced(every pause: Duration = .seconds(1)) async throws {
        while true {
            try balance()
            try await Task.sleep(for: pause)
        }
    }

    func setPressureCallback() {
        let held = Unmanaged.passRetained(pressureListeners)
        let status = allot_on_pressure(
            pointer,
            { _, level, listeners in
                Unmanaged<Listeners<Pressure>>.fromOpaque(listeners!).takeUnretainedValue()
                    .yield(Pressure(level))
            },
            held.toOpaque(),
            { Unmanaged<Listeners<Pressure>>.fromOpaque($0!).release() })
        if status != ALLOT_OK { held.release() }
    }
}
