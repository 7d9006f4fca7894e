// What a call throws, beside the numbers of the C ABI: a denial is an answer, a fault is misuse or
// the world. `Denial.swift` has the denial.

import CAllotment

/// Why a request, or a change of a grant, came to nothing. Nothing is held and nothing has changed.
public enum Refusal: Error, Sendable, Hashable {
    /// The governor says no, and why.
    case denied(Denial)
    /// The grant was evicted meanwhile: its bytes are back, or on their way back.
    case evicted
    /// The task was cancelled before its turn came. Its place in line is given up.
    case cancelled
    /// Misuse, or the world.
    case failed(Fault)
}

extension Refusal: CustomStringConvertible {
    /// What it says, for people.
    public var description: String {
        switch self {
        case .denied(let denial): "denied: \(denial)"
        case .evicted: "the grant was evicted meanwhile: request the memory again"
        case .cancelled: "the task was cancelled before its turn came"
        case .failed(let fault): fault.description
        }
    }
}

/// Misuse, or the world. Nothing has changed.
public struct Fault: Error, Sendable, Hashable {
    /// What kind of fault.
    public let code: Code
    /// The value and the bound, for people.
    public let message: String

    /// The kinds, by the numbers of the C ABI; later libraries may have more.
    public struct Code: RawRepresentable, Sendable, Hashable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// The governor was closed. Not a number of the C ABI.
        public static let closed = Code(rawValue: .min)
        /// A number or flag is none of those that there are.
        public static let unknownNumber = Code(rawValue: ALLOT_ERROR_ENUM)
        /// A text is too long, or has a NUL inside.
        public static let text = Code(rawValue: ALLOT_ERROR_TEXT)
        /// The process is a fork of the one that made the governor.
        public static let forked = Code(rawValue: ALLOT_ERROR_FORKED)
        /// The library has a fault. Releases still work.
        public static let panicked = Code(rawValue: ALLOT_ERROR_PANICKED)
        /// This library was built without that.
        public static let unsupported = Code(rawValue: ALLOT_ERROR_UNSUPPORTED)
        /// The system gives no further thread.
        public static let thread = Code(rawValue: ALLOT_ERROR_THREAD)
        /// A value of a configuration is out of range.
        public static let configuration = Code(rawValue: ALLOT_ERROR_CONFIG)
        /// A tenant, group or grant of another governor.
        public static let foreign = Code(rawValue: ALLOT_ERROR_FOREIGN)
        /// The tenant or group is not registered any more.
        public static let gone = Code(rawValue: ALLOT_ERROR_GONE)
        /// The grant has ended: it is returned exactly once.
        public static let staleGrant = Code(rawValue: ALLOT_ERROR_STALE_GRANT)
        /// The grant is another tenant's.
        public static let notYours = Code(rawValue: ALLOT_ERROR_NOT_YOURS)
        /// Another thread is changing the same grant, for longer than a moment.
        public static let busy = Code(rawValue: ALLOT_ERROR_BUSY)
        /// Zero bytes; a grant holds at least one.
        public static let zeroBytes = Code(rawValue: ALLOT_ERROR_ZERO_BYTES)
        /// More bytes than one grant can hold.
        public static let tooLarge = Code(rawValue: ALLOT_ERROR_TOO_LARGE)
        /// A grant cannot give back all that it holds or more: release it.
        public static let shrinkTooMuch = Code(rawValue: ALLOT_ERROR_SHRINK_TOO_MUCH)
        /// The grant is no reservation that waits to be committed.
        public static let notReserved = Code(rawValue: ALLOT_ERROR_NOT_RESERVED)
        /// The reservation's time has run out.
        public static let expired = Code(rawValue: ALLOT_ERROR_EXPIRED)
        /// A tenant with this id is registered already.
        public static let duplicateTenant = Code(rawValue: ALLOT_ERROR_DUPLICATE_TENANT)
        /// The table of tenants or groups is full.
        public static let tableFull = Code(rawValue: ALLOT_ERROR_TABLE_FULL)
        /// Groups are nested too deep.
        public static let tooDeep = Code(rawValue: ALLOT_ERROR_TOO_DEEP)
        /// The guarantees would promise more than their parent has.
        public static let guaranteesExceed = Code(rawValue: ALLOT_ERROR_GUARANTEES_EXCEED)
        /// Others use the bytes of the guarantee now.
        public static let guaranteeUnavailable = Code(rawValue: ALLOT_ERROR_GUARANTEE_UNAVAILABLE)
        /// The tenant still holds grants.
        public static let grantsLive = Code(rawValue: ALLOT_ERROR_GRANTS_LIVE)
        /// The group still has children.
        public static let hasChildren = Code(rawValue: ALLOT_ERROR_HAS_CHILDREN)
        /// Other threads are changing the same account: call again.
        public static let contended = Code(rawValue: ALLOT_ERROR_CONTENDED)
        /// An error that has no number; the message says what it is.
        public static let other = Code(rawValue: ALLOT_ERROR_OTHER)
    }

    static let closed = Fault(
        code: .closed, message: "the governor was closed: make another one, it takes no more calls")

    static let released = Fault(
        code: .staleGrant, message: "the grant was released before: request the memory again")

    /// What the last call on this thread has answered. Ask at once: each thread has one message.
    init(status: allot_status) {
        code = Code(rawValue: status)
        let message = text { allot_error_message($0, $1, $2) }
        self.message = message.isEmpty ? String(cString: allot_status_text(status)) : message
    }

    init(code: Code, message: String) {
        self.code = code
        self.message = message
    }
}

extension Fault: CustomStringConvertible {
    /// The message.
    public var description: String { message }
}

/// A text of the library's, however long it is.
func text(
    _ call: (UnsafeMutablePointer<CChar>?, UInt64, UnsafeMutablePointer<UInt64>?) -> allot_status
) -> String {
    var capacity = 256
    while true {
        var length: UInt64 = 0
        var status = ALLOT_OK
        let answer = withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
            buffer[0] = 0
            status = call(buffer.baseAddress, UInt64(capacity), &length)
            return String(cString: buffer.baseAddress!)
        }
        if status != ALLOT_TRUNCATED { return answer }
        capacity = Int(length) + 1
    }
}
