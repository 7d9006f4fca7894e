// refused: 'grant' used after consume
import Allotment

func release(_ tenant: Tenant) throws {
    let grant = try tenant.request(1, for: .cache)
    grant.release()
    try grant.touch()
}
