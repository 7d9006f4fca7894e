// A grant's life: asked for, changed, released once, whoever owns it.

import Allotment
import Testing

@Suite struct GrantTests {
    let governor: Governor
    let chat: Tenant

    init() throws {
        governor = try Governor(capacity: .gib(1))
        chat = try governor.registerTenant("chat")
    }

    @Test func aGrantThatGoesOutOfScopeIsReleased() throws {
        do {
            let grant = try chat.request(.mib(64), for: .cache)
            #expect(try grant.bytes() == .mib(64))
            #expect(try chat.used() == .mib(64))
        }
        #expect(try chat.used() == 0)
    }
}
