-- People and service accounts.
CREATE TABLE user_account (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Argon2 in its PHC form; none for who signs in elsewhere.
    password TEXT,
    -- What a directory keeps of a user and this program has no use for, as JSON.
    attributes TEXT,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

-- As whom an identity provider, or a directory that provisions users, knows a user.
CREATE TABLE user_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id UUID NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX user_identity_user ON user_identity (user_id);

-- Groups of a user, by the issuer or directory that says so.
CREATE TABLE user_group (
    user_id UUID NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (user_id, source, name)
);

-- Groups that a directory provisions; their members are in user_group, under the source `scim`.
CREATE TABLE directory_group (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    external_id TEXT,
    created_at BIGINT NOT NULL
);

-- What a directory proves itself with.
CREATE TABLE directory_token (
    hash BYTEA NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE team (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE team_member (
    team_id UUID NOT NULL REFERENCES team (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_member_user ON team_member (user_id);

-- One person, signed in, in one browser.
CREATE TABLE browser_session (
    id UUID NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE,
    user_id UUID NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    -- What the issuer calls the session, for its back-channel logout.
    issuer_session TEXT,
    -- The sealed ID token, for a logout at the issuer.
    id_token TEXT,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Written now and then, not at each use.
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX browser_session_user ON browser_session (user_id);

-- A link that signs one user in, once.
CREATE TABLE sign_in_link (
    hash BYTEA NOT NULL PRIMARY KEY,
    -- None: whoever opens it becomes the first owner.
    user_id UUID REFERENCES user_account (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

ALTER TABLE api_key ADD COLUMN owner_user UUID REFERENCES user_account (id) ON DELETE CASCADE;
ALTER TABLE api_key ADD COLUMN owner_team UUID REFERENCES team (id) ON DELETE CASCADE;
ALTER TABLE api_key ADD COLUMN last_used_at BIGINT;
-- Until then the secret before the newest one opens as much.
ALTER TABLE api_key ADD COLUMN previous_hash BYTEA;
ALTER TABLE api_key ADD COLUMN previous_until BIGINT;
