-- Keys that sign access tokens, one for each generation: of two processes
-- that make the next one, only one succeeds.
CREATE TABLE signing_key (
    generation INTEGER NOT NULL PRIMARY KEY,
    kid TEXT NOT NULL UNIQUE,
    public_key BLOB NOT NULL,
    sealed TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    active_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The metadata is the JSON of RFC 7591 section 2.
CREATE TABLE oauth_client (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    secret_hash BLOB,
    registration_hash BLOB,
    service_user BLOB,
    registered_from TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER,
    blocked_at INTEGER
) WITHOUT ROWID;
CREATE INDEX oauth_client_created ON oauth_client (kind, created_at);

-- What one user allowed one client in one profile.
CREATE TABLE oauth_grant (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL,
    client TEXT NOT NULL,
    profile TEXT NOT NULL,
    scope TEXT NOT NULL,
    flow TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_because TEXT
) WITHOUT ROWID;
CREATE INDEX oauth_grant_user ON oauth_grant (user_id);
CREATE INDEX oauth_grant_client ON oauth_grant (client);
CREATE INDEX oauth_grant_revoked ON oauth_grant (revoked_at);

CREATE TABLE oauth_code (
    hash BLOB NOT NULL PRIMARY KEY,
    grant_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    client TEXT NOT NULL,
    profile TEXT NOT NULL,
    scope TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) WITHOUT ROWID;

CREATE TABLE oauth_refresh_token (
    hash BLOB NOT NULL PRIMARY KEY,
    grant_id BLOB NOT NULL,
    parent BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) WITHOUT ROWID;
CREATE INDEX oauth_refresh_token_grant ON oauth_refresh_token (grant_id);
CREATE INDEX oauth_refresh_token_parent ON oauth_refresh_token (parent);

CREATE TABLE oauth_consent (
    user_id BLOB NOT NULL,
    client TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    profile TEXT NOT NULL,
    scope TEXT NOT NULL,
    given_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, client, redirect_uri, profile)
) WITHOUT ROWID;

CREATE TABLE oauth_device (
    hash BLOB NOT NULL PRIMARY KEY,
    user_code_hash BLOB NOT NULL UNIQUE,
    grant_id BLOB NOT NULL,
    client TEXT NOT NULL,
    profile TEXT NOT NULL,
    scope TEXT NOT NULL,
    state TEXT NOT NULL,
    user_id BLOB,
    expires_at INTEGER NOT NULL,
    polled_at INTEGER
) WITHOUT ROWID;

-- Assertions that have been used: each is good once.
CREATE TABLE oauth_used_assertion (
    hash BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
