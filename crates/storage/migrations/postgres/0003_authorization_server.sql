-- Keys that sign access tokens, one for each generation: of two processes
-- that make the next one, only one succeeds.
CREATE TABLE signing_key (
    generation BIGINT NOT NULL PRIMARY KEY,
    kid TEXT NOT NULL UNIQUE,
    public_key BYTEA NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    active_at BIGINT NOT NULL
);

-- The metadata is the JSON of RFC 7591 section 2.
CREATE TABLE oauth_client (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    secret_hash BYTEA,
    registration_hash BYTEA,
    service_user UUID,
    registered_from TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    blocked_at BIGINT
);
CREATE INDEX oauth_client_created ON oauth_client (kind, created_at);

-- What one user allowed one client in one profile.
CREATE TABLE oauth_grant (
    id UUID NOT NULL PRIMARY KEY,
    user_id UUID NOT NULL,
    client TEXT NOT NULL,
    profile TEXT NOT NULL,
    scope TEXT NOT NULL,
    flow TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_because TEXT
);
CREATE INDEX oauth_grant_user ON oauth_grant (user_id);
CREATE INDEX oauth_grant_client ON oauth_grant (client);
CREATE INDEX oauth_grant_revoked ON oauth_grant (revoked_at);

CREATE TABLE oauth_code (
    hash BYTEA NOT NULL PRIMARY KEY,
    grant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    client TEXT NOT NULL,
    profile TEXT NOT NULL,
    scope TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE TABLE oauth_refresh_token (
    hash BYTEA NOT NULL PRIMARY KEY,
    grant_id UUID NOT NULL,
    parent BYTEA,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX oauth_refresh_token_grant ON oauth_refresh_token (grant_id);
CREATE INDEX oauth_refresh_token_parent ON oauth_refresh_token (parent);

CREATE TABLE oauth_consent (
    user_id UUID NOT NULL,
    client TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    profile TEXT NOT NULL,
    scope TEXT NOT NULL,
    given_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, client, redirect_uri, profile)
);

CREATE TABLE oauth_device (
    hash BYTEA NOT NULL PRIMARY KEY,
    user_code_hash BYTEA NOT NULL UNIQUE,
    grant_id UUID NOT NULL,
    client TEXT NOT NULL,
    profile TEXT NOT NULL,
    scope TEXT NOT NULL,
    state TEXT NOT NULL,
    user_id UUID,
    expires_at BIGINT NOT NULL,
    polled_at BIGINT
);

-- Assertions that have been used: each is good once.
CREATE TABLE oauth_used_assertion (
    hash BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
