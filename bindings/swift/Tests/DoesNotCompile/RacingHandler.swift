// refused: mutation of captured var 'evicted' in concurrently-executing code
import Allotment

func count(_ governor: Governor) throws -> Int {
    var evicted = 0
    try governor.onReclaim { _ in
        evicted += 1
        return .freed
    }
    return evicted
}
