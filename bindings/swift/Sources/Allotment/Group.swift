// A group of tenants, which share a guarantee and a limit.

import CAllotment

/// A registered group: an organisation, a team. Its tenants' guarantees come out of its own.
///
/// Where another module has a `Group` as well, this one is `Allotment.Group`.
public struct Group: Sendable, Hashable {
    /// Whose it is.
    public let governor: Governor
    /// Its number, by which denials and explanations name it.
    public let handle: UInt64

    /// The limits of a group.
    public struct Configuration: Sendable, Hashable {
        /// Floor of the whole group.
        public var guarantee: ByteCount
        /// Ceiling of the whole group; ``ByteCount/max``: the parent's.
        public var limit: ByteCount

        /// No guarantee and no limit, unless said.
        public init(guarantee: ByteCount = 0, limit: ByteCount = .max) {
            self.guarantee = guarantee
            self.limit = limit
        }

        fileprivate var c: allot_group_config {
            var c = callot_group_config()
            c.guarantee_bytes = guarantee.bytes
            c.limit_bytes = limit.bytes
            return c
        }
    }

    /// Changes guarantee and limit while it runs. Nothing is taken away.
    public func update(_ configuration: Configuration) throws(Fault) {
        try governor.checkOpen()
        var config = configuration.c
        try again { allot_group_update(governor.pointer, handle, &config) }
    }

    /// Unregisters it, once it has no tenants and groups any more.
    public func unregister() throws(Fault) {
        try governor.checkOpen()
        try okay(allot_group_unregister(governor.pointer, handle))
    }

    public static func == (left: Group, right: Group) -> Bool {
        left.governor === right.governor && left.handle == right.handle
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(handle)
    }
}

extension Governor {
    /// Registers a group, below another one or directly below the pool.
    public func registerGroup(
        _ name: String, in parent: Group? = nil, _ configuration: Group.Configuration = .init()
    ) throws(Fault) -> Group {
        try checkOpen()
        var config = configuration.c
        config.parent = parent?.handle ?? 0
        var handle: allot_group = 0
        try okay(
            with(name) {
                config.name = $0
                config.name_length = $1
                return allot_group_register(pointer, &config, &handle)
            })
        return Group(governor: self, handle: handle)
    }

    /// The group of that name, if there is one.
    public func group(named name: String) throws(Fault) -> Group? {
        try checkOpen()
        var handle: allot_group = 0
        let status = with(name) { allot_group_find_name(pointer, $0, $1, &handle) }
        try okay(status)
        return status == ALLOT_OK ? Group(governor: self, handle: handle) : nil
    }
}

/// Calls again while another thread changes the same account, which takes a moment.
func again(_ call: () -> allot_status) throws(Fault) {
    var status = call()
    for _ in 0..<1_000 where status == ALLOT_ERROR_CONTENDED { status = call() }
    try okay(status)
}
