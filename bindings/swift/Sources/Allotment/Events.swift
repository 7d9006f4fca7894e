// What happened, as a stream. The library keeps the last `eventsMax` in a ring, without a lock and
// without telling anybody; a task looks there now and then.

import CAllotment

/// Something that happened. Fields that mean nothing for a kind are 0 or none.
public struct Event: Sendable, Hashable, Codable {
    /// What.
    public let kind: Kind
    /// Its place among all events.
    public let sequence: UInt64
    /// When, by the governor's clock.
    public let time: Duration
    /// The slot of the account concerned: ``Tenant/slot``, 0 for the pool.
    public let slot: UInt32
    /// The grant concerned, by its number.
    public let grant: UInt64?
    /// The bytes that were asked for, granted, released.
    public let bytes: ByteCount
    /// What the account used when this was recorded.
    public let used: ByteCount
    /// One more number, by kind.
    public let detail: UInt64
    /// What the memory was taken for, by its number.
    public let type: UInt32
    /// The state before, for changes of state.
    public let from: UInt32
    /// The state after, for changes of state.
    public let to: UInt32
    /// Which check refused, for denials.
    public let reason: Denial.Reason?

    /// What kind of thing. Later libraries may have more.
    public struct Kind: RawRepresentable, Sendable, Hashable, Codable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        private init(_ number: Int32) { rawValue = UInt32(number) }

        /// Events were overwritten before the stream has read them: ``Event/detail`` of them.
        public static let lost = Kind(rawValue: .max)
        /// A request was granted.
        public static let granted = Kind(ALLOT_EVENT_GRANTED)
        /// A request was denied.
        public static let denied = Kind(ALLOT_EVENT_DENIED)
        /// A grant grew by the bytes.
        public static let grown = Kind(ALLOT_EVENT_GROWN)
        /// A grant shrank by the bytes.
        public static let shrunk = Kind(ALLOT_EVENT_SHRUNK)
        /// A grant was released by its owner.
        public static let released = Kind(ALLOT_EVENT_RELEASED)
        /// A grant was taken back.
        public static let evicted = Kind(ALLOT_EVENT_EVICTED)
        /// An account was registered.
        public static let registered = Kind(ALLOT_EVENT_REGISTERED)
        /// An account was unregistered.
        public static let unregistered = Kind(ALLOT_EVENT_UNREGISTERED)
        /// The limits of an account were changed.
        public static let limitsChanged = Kind(ALLOT_EVENT_LIMITS_CHANGED)
        /// Pressure went from level ``Event/from`` to level ``Event/to``.
        public static let pressureChanged = Kind(ALLOT_EVENT_PRESSURE_CHANGED)
        /// The capacity was changed to the bytes.
        public static let capacityChanged = Kind(ALLOT_EVENT_CAPACITY_CHANGED)
        /// A reservation ran out before it was used.
        public static let reservationExpired = Kind(ALLOT_EVENT_RESERVATION_EXPIRED)
        /// A grant was still held when its owner was gone.
        public static let leak = Kind(ALLOT_EVENT_LEAK)
        /// The owner of a grant was asked for it and did not answer in time.
        public static let reclaimTimedOut = Kind(ALLOT_EVENT_RECLAIM_TIMED_OUT)
        /// The owner of a grant was asked for it and panicked.
        public static let reclaimPanicked = Kind(ALLOT_EVENT_RECLAIM_PANICKED)
        /// Memory that was said to be freed was not seen to be.
        public static let freedNotSeen = Kind(ALLOT_EVENT_FREED_NOT_SEEN)
        /// A request stands in line; ``Event/grant`` is its number there.
        public static let queued = Kind(ALLOT_EVENT_QUEUED)
        /// A request that stood in line was given up by its owner.
        public static let withdrawn = Kind(ALLOT_EVENT_WITHDRAWN)
        /// The answer to a request that has waited was taken.
        public static let taken = Kind(ALLOT_EVENT_TAKEN)
        /// The owner of a grant was asked for it and keeps it.
        public static let reclaimAnswered = Kind(ALLOT_EVENT_RECLAIM_ANSWERED)
        /// Somebody used a verb of an emergency.
        public static let emergency = Kind(ALLOT_EVENT_EMERGENCY)
    }

    init(_ event: allot_event) {
        kind = Kind(rawValue: event.kind)
        sequence = event.sequence
        time = Duration(ns: event.time_ns)
        slot = event.account
        grant = event.grant == 0 ? nil : event.grant
        bytes = ByteCount(event.bytes)
        used = ByteCount(event.used_bytes)
        detail = event.detail
        type = event.allocation_type
        from = event.from
        to = event.to
        reason = event.reason == 0 ? nil : Denial.Reason(rawValue: event.reason)
    }

    fileprivate init(lost: UInt64) {
        var event = callot_event()
        event.kind = Kind.lost.rawValue
        event.detail = lost
        self.init(event)
    }
}

extension Set<Event.Kind> {
    /// Changes of pressure, and what somebody should look at: owners that hang, memory that was
    /// said to be freed and is not, leaks, emergencies, and events that nobody has read in time.
    public static let alerts: Set<Event.Kind> = [
        .pressureChanged, .reclaimTimedOut, .reclaimPanicked, .freedNotSeen, .leak, .emergency,
        .lost,
    ]
}

extension Tenant {
    /// By what events name it.
    public var slot: UInt32 { UInt32(truncatingIfNeeded: handle & 0xff_ffff) }
}

extension Governor {
    /// The events of some kinds from now on; the newest `count` of them are kept. It ends with the
    /// governor, and with ``close()``. It throws where no events are kept, as by default:
    /// ``Configuration/eventsMax`` says how many.
    /// A task looks for them once every `pause`.
    public func events(
        _ kinds: Set<Event.Kind> = .alerts, keeping count: Int = 256,
        every pause: Duration = .milliseconds(100)
    ) throws(Fault) -> AsyncStream<Event> {
        try checkOpen()
        guard keepsEvents else {
            let message = "eventsMax is 0, no events are kept: set it in the configuration"
            throw Fault(code: .unsupported, message: message)
        }
        let (stream, continuation) = AsyncStream.makeStream(
            of: Event.self, bufferingPolicy: .bufferingNewest(max(count, 1)))
        var reader = callot_event_reader()
        // What there is already is read away.
        _ = read(&reader) { _ in }
        let start = reader
        let task = Task { [weak self] in
            var reader = start
            while !Task.isCancelled {
                let goesOn = self?.read(&reader) { event in
                    if kinds.contains(event.kind) { continuation.yield(event) }
                }
                guard goesOn == true else { break }
                try? await Task.sleep(for: pause)
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in task.cancel() }
        return stream
    }

    /// Reads all that there is; whether there can be more later.
    private func read(_ reader: inout allot_event_reader, _ tell: (Event) -> Void) -> Bool {
        var event = callot_event()
        while !isClosed {
            switch allot_events_read(pointer, &reader, &event) {
            case ALLOT_OK: tell(Event(event))
            case ALLOT_LOST: tell(Event(lost: reader.lost_now))
            case ALLOT_NONE: return true
            default: return false
            }
        }
        return false
    }
}
