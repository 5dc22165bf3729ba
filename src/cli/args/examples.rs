//! What the help of each verb ends with.

pub(super) const EXAMPLES: &str = "\
Examples:
  glintcast                                start the broker on 127.0.0.1:5056
  glintcast publish glints.jsonl           send a file to it, one JSON object per line
  glintcast tail --from earliest           watch what it sends, from the oldest it still has

Exit codes:
  0   all went well
  1   something failed, or some of the input was refused
  64  the command line or the settings are wrong; nothing was started
  70  an error in the program itself; please report it
  74  the log on disk cannot be written or read";

pub(super) const SERVE_EXAMPLES: &str = "\
Examples:
  glintcast serve
  glintcast serve --listen 0.0.0.0:5056 --config /etc/glintcast.toml
  GLINTCAST__LOG__LEVEL=debug glintcast serve

The first line on standard output says where it listens; the log goes to standard error.
`glintcast check-config` shows every setting.";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  glintcast check-config
  glintcast check-config --config /etc/glintcast.toml

Exit code 0 when the settings are right, 64 when they are not.";

pub(super) const PUBLISH_EXAMPLES: &str = "\
Examples:
  glintcast publish glints.jsonl
  tail -f glints.jsonl | glintcast publish
  glintcast publish --to http://broker:5056 --rate 50 glints.jsonl

Blank lines are passed over. A line that is refused does not stop the others: at the end each is named with its \
number and the reason. Exit code 0 when all lines were accepted, 1 when some were not.";

pub(super) const TAIL_EXAMPLES: &str = "\
Examples:
  glintcast tail
  glintcast tail --from earliest --module 'memory.*' --limit 10
  glintcast tail --json --from -100 | jq .data
  glintcast tail http://broker:5056 --topics glints,state

A connection that breaks is made again, from the last event seen. Ctrl-C ends it.";

pub(super) const VERIFY_EXAMPLES: &str = "\
Examples:
  glintcast verify /var/lib/glintcast
  glintcast verify --traces /var/lib/glintcast

The exit code is 0 when everything is good, and 1 when something is not.";

pub(super) const COHERENCE_VERIFY_EXAMPLES: &str = "\
Examples:
  glintcast coherence verify /var/lib/glintcast

The exit code is 0 when every signature follows from the one before it and is possible, and 1 when one does not.";

pub(super) const KEYS_EXAMPLES: &str = "\
Examples:
  glintcast keys new agent.pem
  GLINTCAST__ADMIN__TOKEN=... glintcast keys enrol agent-a --key agent.pem
  GLINTCAST__ADMIN__TOKEN=... glintcast keys revoke agent-a --reason 'the laptop was lost'
  glintcast keys list | jq -r '[.key_id, .standing] | @tsv'

The token of the broker is read from the environment, where GLINTCAST__ADMIN__TOKEN sets it for the broker, too.";

pub(super) const REPLAY_EXAMPLES: &str = "\
Examples:
  glintcast replay /var/lib/glintcast --from 2026-01-01T06:00:00Z
  glintcast replay /var/lib/glintcast | jq -c .data

Each line is an event as `glintcast tail --json` prints it.";

pub(super) const REGISTRY_EXAMPLES: &str = "\
Examples:
  glintcast registry pull http://broker:5056                        into the broker on this machine
  glintcast registry pull http://broker:5056 --with urls.txt        into a file
  glintcast registry push http://broker:5056 --with urls.txt        out of it

Only the difference travels, and a few sums to find it. What was uploaded may bring entries of its own along: the \
parents and origins that it names.";
pub(super) const RITUALS_CHECK_EXAMPLES: &str = "\
Examples:
  glintcast rituals check config/rituals.toml

Each mistake is a line FILE:LINE: REASON on standard error, and the exit code is then 1.";

pub(super) const RITUALS_REHEARSE_EXAMPLES: &str = "\
Examples:
  glintcast rituals rehearse rules.toml --data /var/lib/glintcast
  glintcast rituals rehearse rules.toml --data /var/lib/glintcast --from 2026-01-01T06:00:00Z

Says of each rule how often it would have fired and how often not and why, then the first hundred firings.";

pub(super) const TRACES_EXAMPLES: &str = "\
Examples:
  glintcast traces export /var/lib/glintcast --format csv --rows llm-calls > calls.csv
  glintcast traces export --at http://broker:5056 --from 2026-01-01T00:00:00Z | jq .trace_id
  glintcast traces export /var/lib/glintcast --format parquet --out traces.parquet
  glintcast traces verify /var/lib/glintcast

A store is read by one process at a time: while its broker runs, ask that.";

pub(super) const GS1_ENCODE_EXAMPLES: &str = r#"Examples:
  echo '{"sid":1,"seq":2,"kind":"doc","payload":"{a=1}","crc":true}' | glintcast gs1 encode

Members: sid, seq, kind (doc, patch, row, ui, ack, err, ping, pong or a number), payload (text) or payload_b64, crc (true, or 8 hex digits to write as they are), base (64 hex digits), final (true).
A line that is refused is named on standard error and passed over; the exit code is then 1."#;

pub(super) const GS1_DECODE_EXAMPLES: &str = r#"Examples:
  glintcast gs1 decode < frames.gs1

A frame that is refused leaves a line {"error":CODE,"at":BYTE}, the reason goes to standard error, and the exit code is 1. A payload that does not fit its checksum is passed over; after a bad header nothing can be read any more."#;

pub(super) const GLYPH_EXAMPLES: &str = r#"Examples:
  echo '{"b":1,"a":[1,2]}' | glintcast glyph fmt
  echo '{"b":1,"a":[1,2]}' | glintcast glyph fmt | glintcast glyph json
  echo '{"x":1,"y":2}' | glintcast glyph hash

A line that is refused leaves {"error":CODE,"line":NUMBER,"detail":WHY} in its place, and the exit code is 1. Blank lines are passed over."#;
