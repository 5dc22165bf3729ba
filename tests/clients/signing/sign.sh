#!/bin/sh
# Signs a trace and a plain glint with OpenSSL, and sends both: sign.sh URL KEY.pem KEY_ID
#
# Needs openssl 3 and curl. The key is one of `glintcast keys new` or `openssl genpkey -algorithm ed25519`. What is signed
# is written by hand in its canonical form: members in order, no blanks, ASCII.
set -eu
url=$1 pem=$2 key_id=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sign() {
    printf '%s' "$1" >"$work/canonical"
    openssl pkeyutl -sign -inkey "$pem" -rawin -in "$work/canonical" | openssl base64 -A
}

# The last 32 bytes of the public key in DER are the key itself.
agent=$(openssl pkey -in "$pem" -pubout -outform DER | tail -c 32 | openssl dgst -sha256 -r | cut -c 1-16)

component='{"component_type":"action","data":{"attempt_index":0},"event_type":"ACTION_RESULT","timestamp":"2026-05-01T00:00:02+00:00"}'
trace="{\"agent_id_hash\":\"$agent\",\"completed_at\":\"2026-05-01T00:00:10+00:00\",\"components\":[$component],\"started_at\":\"2026-05-01T00:00:00+00:00\",\"task_id\":null,\"thought_id\":\"thought-1\",\"trace_id\":\"trace-shell-1\",\"trace_level\":\"generic\",\"trace_schema_version\":\"2.7.0\"}"
signed="${trace%\}},\"signature\":\"$(sign "$trace")\",\"signature_key_id\":\"$key_id\"}"
event="{\"event_type\":\"complete_trace\",\"trace_level\":\"generic\",\"trace\":$signed}"
curl --silent --show-error --fail "$url/api/v1/accord/events" -H 'content-type: application/json' -d "{\"events\":[$event],\"batch_timestamp\":\"2026-05-01T00:01:00+00:00\",\"consent_timestamp\":\"2025-01-01T00:00:00Z\",\"trace_level\":\"generic\",\"trace_schema_version\":\"2.7.0\"}"
echo

glint='{"content":"first light","source":"agent.shell"}'
signature="{\"key_id\":\"$key_id\",\"signature\":\"$(sign "$glint")\"}"
curl --silent --show-error --fail "$url/glints" -H 'content-type: application/json' -d "${glint%\}},\"agent_signature\":$signature}"
echo
