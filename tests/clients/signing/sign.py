"""Signs a trace and a plain glint, and sends both: python3 sign.py URL KEY.pem KEY_ID

Needs the package `cryptography`. The key is one of `glintcast keys new` or `openssl genpkey -algorithm ed25519`.
"""

import base64
import hashlib
import json
import sys
import urllib.request

from cryptography.hazmat.primitives.serialization import load_pem_private_key

url, pem, key_id = sys.argv[1:]
key = load_pem_private_key(open(pem, "rb").read(), password=None)
agent = hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


def sign(value):
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(key.sign(canonical)).rstrip(b"=").decode()


def post(path, value):
    body = json.dumps(value).encode()
    request = urllib.request.Request(url + path, body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))


# The signed fields of version 2.7.0. task_id is signed as null where there is none.
trace = {
    "trace_id": "trace-python-1",
    "thought_id": "thought-1",
    "task_id": None,
    "agent_id_hash": agent,
    "started_at": "2026-05-01T00:00:00+00:00",
    "completed_at": "2026-05-01T00:00:10.500000+00:00",
    "trace_level": "generic",
    "trace_schema_version": "2.7.0",
    "components": [
        {
            "component_type": "action",
            "event_type": "ACTION_RESULT",
            "timestamp": "2026-05-01T00:00:02.250000+00:00",
            "data": {"attempt_index": 0, "cost_usd": 0.0031992000000000006, "verb": "spéak"},
        }
    ],
}
signed = dict(trace, signature=sign(trace), signature_key_id=key_id)
answer = post(
    "/api/v1/accord/events",
    {
        "events": [{"event_type": "complete_trace", "trace_level": "generic", "trace": signed}],
        "batch_timestamp": "2026-05-01T00:01:00+00:00",
        "consent_timestamp": "2025-01-01T00:00:00Z",
        "trace_level": "generic",
        "trace_schema_version": "2.7.0",
    },
)
print(answer["traces"][0]["outcome"])

glint = {"source": "agent.python", "content": "first light"}
answer = post("/glints", dict(glint, agent_signature={"key_id": key_id, "signature": sign(glint)}))
print(answer["cursor"])
