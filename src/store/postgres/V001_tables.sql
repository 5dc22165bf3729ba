-- How far a sink is in the log of each epoch; moved in the transaction that writes the rows.
CREATE TABLE {schema}.sink_positions (
    epoch bigint PRIMARY KEY,
    seq bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now()
);

-- One row a trace; record holds the exact bytes, from which signature and hash can be checked again.
CREATE TABLE {schema}.traces (
    content text PRIMARY KEY,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    stored_at timestamptz NOT NULL,
    agent_id_hash text NOT NULL,
    trace_id text NOT NULL,
    thought_id text NOT NULL,
    task_id text,
    started_at timestamptz NOT NULL,
    completed_at timestamptz NOT NULL,
    trace_level text NOT NULL,
    trace_schema_version text NOT NULL,
    agent_name text,
    cognitive_state text,
    signature_key_id text NOT NULL,
    signature text NOT NULL,
    verified text NOT NULL,
    redacted_by text,
    batch_timestamp text NOT NULL,
    consent_timestamp text NOT NULL,
    components bigint NOT NULL,
    record text NOT NULL
);
CREATE INDEX traces_order ON {schema}.traces (epoch, seq);
CREATE INDEX traces_agent ON {schema}.traces (agent_id_hash, stored_at DESC);
CREATE INDEX traces_trace ON {schema}.traces (trace_id);

-- One row a component. The key holds the time because a hypertable wants it there; content and index alone decide.
CREATE TABLE {schema}.trace_events (
    ts timestamptz NOT NULL,
    content text NOT NULL,
    component_index bigint NOT NULL,
    agent_id_hash text NOT NULL,
    trace_id text NOT NULL,
    thought_id text NOT NULL,
    task_id text,
    component_type text NOT NULL,
    event_type text NOT NULL,
    attempt_index bigint NOT NULL,
    step_point text,
    agent_name text,
    cognitive_state text,
    audit_sequence_number bigint,
    audit_entry_hash text,
    audit_signature text,
    audit_entry_id text,
    llm_calls bigint,
    tokens_total bigint,
    cost_usd double precision,
    carbon_grams double precision,
    data text NOT NULL,
    payload jsonb NOT NULL,
    PRIMARY KEY (content, component_index, ts)
);
CREATE INDEX trace_events_thought ON {schema}.trace_events (thought_id, ts);
CREATE INDEX trace_events_type ON {schema}.trace_events (event_type, ts DESC);
CREATE INDEX trace_events_audit ON {schema}.trace_events (audit_sequence_number)
    WHERE audit_sequence_number IS NOT NULL;

-- One row a call to a model.
CREATE TABLE {schema}.trace_llm_calls (
    ts timestamptz NOT NULL,
    content text NOT NULL,
    component_index bigint NOT NULL,
    agent_id_hash text NOT NULL,
    trace_id text NOT NULL,
    thought_id text NOT NULL,
    attempt_index bigint NOT NULL,
    parent_index bigint,
    parent_event_type text NOT NULL,
    parent_attempt_index bigint NOT NULL,
    handler_name text NOT NULL,
    service_name text NOT NULL,
    duration_ms double precision NOT NULL,
    status text NOT NULL,
    model text,
    base_url text,
    response_model text,
    prompt_tokens bigint,
    completion_tokens bigint,
    prompt_bytes bigint,
    completion_bytes bigint,
    cost_usd double precision,
    error_class text,
    attempt_count bigint,
    retry_count bigint,
    prompt_hash text,
    prompt text,
    response_text text,
    PRIMARY KEY (content, component_index, ts)
);
CREATE INDEX trace_llm_calls_thought ON {schema}.trace_llm_calls (thought_id, ts);
CREATE INDEX trace_llm_calls_model ON {schema}.trace_llm_calls (model, ts DESC);
CREATE INDEX trace_llm_calls_failed ON {schema}.trace_llm_calls (ts DESC) WHERE status <> 'ok';

-- The keys that sign, as the log has them.
CREATE TABLE {schema}.accord_public_keys (
    key_id text PRIMARY KEY,
    public_key_base64 text NOT NULL,
    algorithm text NOT NULL,
    agent_id_hash text NOT NULL,
    role text NOT NULL,
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_reason text
);
