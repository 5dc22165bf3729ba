#!/usr/bin/env bash
# curl: people at a terminal, cron jobs, and every shell script that posts a glint.
set -euo pipefail

glints=$(dirname "$0")/../glints
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0

check() {
    if [ "$2" = "$3" ]; then
        echo "ok - curl: $1"
    else
        echo "not ok - curl: $1"
        diff <(echo "$2") <(echo "$3") || true
        failures=$((failures + 1))
    fi
}

post() {
    while IFS= read -r body; do
        printf '%s' "$body" | curl -sS --max-time 5 -H 'Content-Type: application/json' --data-binary @- "$GLINTCAST_URL/stream/glint"
        echo
    done <"$glints/posted.jsonl"
}

# Follows a stream in the background, posts when it has begun, and waits until its limit ends it.
follow() {
    local out=$1
    shift
    curl -sS -N --max-time 20 "$@" >"$out" &
    for _ in $(seq 100); do
        [ ! -s "$out" ] || break
        sleep 0.1
    done
    post >"$tmp/answers"
    wait $!
}

count=$(wc -l <"$glints/wire.jsonl")

follow "$tmp/sse" "$GLINTCAST_URL/stream?topics=glints&limit=$count"
check "SSE has each glint once" "$(cat "$glints/wire.jsonl")" \
    "$(grep -A1 -x 'event: glint_emission' "$tmp/sse" | sed -n 's/^data: //p')"
check "SSE begins with data" "data: " "$(head -c 6 "$tmp/sse")"
check "SSE says why it ends" "event: farewell" "$(grep -x 'event: .*' "$tmp/sse" | tail -n 1)"
check "each post is answered" "$count" "$(grep -c '"status": "glint_broadcast"' "$tmp/answers")"

follow "$tmp/ndjson" -H 'Accept: application/x-ndjson' "$GLINTCAST_URL/stream?topics=glints&limit=$count"
check "NDJSON has each glint once" "$(cat "$glints/wire.jsonl")" \
    "$(awk '/^{"event": "glint_emission"/ { at = index($0, "\"data\": ") + 8; print substr($0, at, length($0) - at) }' "$tmp/ndjson")"
check "NDJSON ends with a farewell" '{"event": "farewell"' "$(tail -n 1 "$tmp/ndjson" | head -c 20)"

curl -sS --max-time 5 -H 'Content-Type: application/x-ndjson' --data-binary "@$glints/posted.jsonl" "$GLINTCAST_URL/glints" >"$tmp/batch"
check "a file is taken in one go" "{\"accepted\": $count, \"refused\": 0" "$(grep -o '^{"accepted": [0-9]*, "refused": [0-9]*' "$tmp/batch")"
curl -sS -N --max-time 5 "$GLINTCAST_URL/stream?topics=glints&from=-$count&limit=$count" >"$tmp/replay"
check "history has it to the byte" "$(cat "$glints/wire.jsonl")" \
    "$(grep -A1 -x 'event: glint_emission' "$tmp/replay" | sed -n 's/^data: //p')"

status=$(curl -sS --max-time 5 -o "$tmp/refusal" -w '%{http_code}' -H 'Content-Type: application/json' -d '{"half' "$GLINTCAST_URL/stream/glint")
check "half a glint is refused" 400 "$status"
exit "$failures"
