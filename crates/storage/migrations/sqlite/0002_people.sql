-- People and service accounts.
CREATE TABLE user_account (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    login TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Argon2 in its PHC form; none for who signs in elsewhere.
    password TEXT,
    -- What a directory keeps of a user and this program has no use for, as JSON.
    attributes TEXT,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
);

-- As whom an identity provider, or a directory that provisions users, knows a user.
CREATE TABLE user_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id BLOB NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
CREATE INDEX user_identity_user ON user_identity (user_id);

-- Groups of a user, by the issuer or directory that says so.
CREATE TABLE user_group (
    user_id BLOB NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (user_id, source, name)
) WITHOUT ROWID;

-- Groups that a directory provisions; their members are in user_group, under the source `scim`.
CREATE TABLE directory_group (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    external_id TEXT,
    created_at INTEGER NOT NULL
);

-- What a directory proves itself with.
CREATE TABLE directory_token (
    hash BLOB NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
);

CREATE TABLE team (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
);

CREATE TABLE team_member (
    team_id BLOB NOT NULL REFERENCES team (id) ON DELETE CASCADE,
    user_id BLOB NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    PRIMARY KEY (team_id, user_id)
) WITHOUT ROWID;
CREATE INDEX team_member_user ON team_member (user_id);

-- One person, signed in, in one browser.
CREATE TABLE browser_session (
    id BLOB NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    user_id BLOB NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    method TEXT NOT NULL,
    -- What the issuer calls the session, for its back-channel logout.
    issuer_session TEXT,
    -- The sealed ID token, for a logout at the issuer.
    id_token TEXT,
    user_agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Written now and then, not at each use.
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
);
CREATE INDEX browser_session_user ON browser_session (user_id);

-- A link that signs one user in, once.
CREATE TABLE sign_in_link (
    hash BLOB NOT NULL PRIMARY KEY,
    -- None: whoever opens it becomes the first owner.
    user_id BLOB REFERENCES user_account (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
);

ALTER TABLE api_key ADD COLUMN owner_user BLOB REFERENCES user_account (id) ON DELETE CASCADE;
ALTER TABLE api_key ADD COLUMN owner_team BLOB REFERENCES team (id) ON DELETE CASCADE;
ALTER TABLE api_key ADD COLUMN last_used_at INTEGER;
-- Until then the secret before the newest one opens as much.
ALTER TABLE api_key ADD COLUMN previous_hash BLOB;
ALTER TABLE api_key ADD COLUMN previous_until INTEGER;
