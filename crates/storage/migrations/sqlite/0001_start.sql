-- What the database knows of itself, such as the id of the key that seals its secrets.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE api_key (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    profile TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
);

-- Append-only; (chain, seq) is also the order in which a chain is verified.
-- Not WITHOUT ROWID: SQLite appends to a table of numbered rows by adding a
-- page, but to one ordered by its key by balancing pages, which with rows of
-- this size costs more than the small index of the key.
CREATE TABLE audit_event (
    chain BLOB NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (chain, seq)
);

-- One row: counts every change that running hubs must notice.
CREATE TABLE change_counter (
    id INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
);
INSERT INTO change_counter (id, version) VALUES (1, 0);

-- The counter's value when each topic last changed.
CREATE TABLE change_topic (
    topic TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL
) WITHOUT ROWID;
