-- What the database knows of itself, such as the id of the key that seals its secrets.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE api_key (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    profile TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

-- Append-only; (chain, seq) is also the order in which a chain is verified.
CREATE TABLE audit_event (
    chain UUID NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    prev_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (chain, seq)
);

-- One row: counts every change that running hubs must notice.
CREATE TABLE change_counter (
    id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
INSERT INTO change_counter (id, version) VALUES (1, 0);

-- The counter's value when each topic last changed.
CREATE TABLE change_topic (
    topic TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);
