// refused: 'grant' consumed more than once
import Allotment

func release(_ tenant: Tenant) throws {
    let grant = try tenant.request(1, for: .cache)
    grant.release()
    grant.release()
}
