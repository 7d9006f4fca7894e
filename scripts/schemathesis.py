"""What scripts/schemathesis.sh has schemathesis do beside what the document says.

Ids that it makes up are of nothing that is there, so every second call is made about something
that is: a tenant, a group, a grant that was granted for this call.
"""

import itertools
import json
import os
import urllib.error
import urllib.request

import schemathesis

ADDRESS, TOKEN = os.environ["ALLOT_ADDRESS"], os.environ["ALLOT_TOKEN"]
# The configuration that every text begins with, so that its tenants stay.
CONFIGURATION = open(os.environ["ALLOT_CONFIG"], encoding="utf-8").read()
# Nobody waits or holds for longer, in ms: no call is to be a long one.
LONG_MS = 200
numbers = itertools.count()


@schemathesis.serializer("application/toml")
def toml(context, value):
    text = value if isinstance(value, str) else json.dumps(value)
    return {"data": (CONFIGURATION + text).encode("utf-8", "replace")}


def granted():
    """A grant of one byte: its id and epoch, or none."""
    ask = {"tenant": "chat", "bytes": 1, "type": "cache", "lease_ms": 60_000}
    request = urllib.request.Request(
        f"http://{ADDRESS}/v1/requests",
        json.dumps(ask).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            grant = json.load(answer)
            return grant["id"], grant["epoch"]
    except urllib.error.HTTPError:
        # Somebody has frozen or removed the tenant by now.
        return None


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body if isinstance(case.body, dict) else {}
    for name in ("wait_ms", "lease_ms"):
        if isinstance(body.get(name), int) and not isinstance(body[name], bool):
            body[name] = min(body[name], LONG_MS)
    if next(numbers) % 2:
        return
    path, query = case.path_parameters or {}, case.query or {}
    for place in (path, query, body):
        if isinstance(place.get("tenant"), str):
            place["tenant"] = "batch" if case.method == "DELETE" else "chat"
    if "group" in path:
        path["group"] = "team"
    if "id" in path and (grant := granted()):
        path["id"] = grant[0]
        for place in (query, body):
            if "epoch" in place:
                place["epoch"] = grant[1]
