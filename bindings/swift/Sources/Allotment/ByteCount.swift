// A number of bytes, with its unit where it is written: `.gib(4)`.
//
// Arithmetic never traps: what is too much is `.max`, what is too little is none. A request for
// either is refused by the governor, in words.

import CAllotment

/// A number of bytes.
///
/// ```swift
/// let weights: ByteCount = .gib(4)
/// let page: ByteCount = 16_384
/// ```
public struct ByteCount: Sendable, Hashable, Comparable, Codable {
    /// The bytes.
    public var bytes: UInt64

    /// So many bytes.
    public init(_ bytes: UInt64) {
        self.bytes = bytes
    }

    /// As many as an integer of any kind says; none if it is negative.
    public init(clamping bytes: some BinaryInteger) {
        self.bytes = UInt64(clamping: bytes)
    }

    /// The bytes alone, as a number.
    public init(from decoder: any Decoder) throws {
        bytes = try decoder.singleValueContainer().decode(UInt64.self)
    }

    /// The bytes alone, as a number.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }

    /// So many KiB, of 1024 bytes.
    public static func kib(_ count: UInt64) -> Self { times(count, 1 << 10) }

    /// So many MiB, of 1024 KiB.
    public static func mib(_ count: UInt64) -> Self { times(count, 1 << 20) }

    /// So many GiB, of 1024 MiB.
    public static func gib(_ count: UInt64) -> Self { times(count, 1 << 30) }

    /// More than anything: no limit.
    public static let max = Self(ALLOT_UNLIMITED)

    private static func times(_ count: UInt64, _ unit: UInt64) -> Self {
        let (product, overflow) = count.multipliedReportingOverflow(by: unit)
        return overflow ? .max : Self(product)
    }

    public static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }

    /// The sum, at most ``max``.
    public static func + (left: Self, right: Self) -> Self {
        let (sum, overflow) = left.bytes.addingReportingOverflow(right.bytes)
        return overflow ? .max : Self(sum)
    }

    /// The difference, at least none.
    public static func - (left: Self, right: Self) -> Self {
        Self(left.bytes > right.bytes ? left.bytes - right.bytes : 0)
    }
}

extension ByteCount: ExpressibleByIntegerLiteral {
    /// So many bytes.
    public init(integerLiteral bytes: UInt64) {
        self.bytes = bytes
    }
}

extension ByteCount: CustomStringConvertible {
    /// With the largest unit that it reaches, rounded down to a tenth: `4.0 GiB`.
    public var description: String {
        if self == .max { return "unlimited" }
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
            as [(UInt64, String)]
        where bytes >> shift > 0 {
            let tenths = ((bytes & ((1 << shift) - 1)) * 10) >> shift
            return "\(bytes >> shift).\(tenths) \(unit)"
        }
        return "\(bytes) B"
    }
}
