-- What an identity provider gave for a person at their last sign-in, for the servers that are shown it: sealed. Whoever
-- renews it holds the lease. None in `sealed`: it is of no more use, and the person has to sign in again.
CREATE TABLE kept_identity (
    user_id BLOB NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    version INTEGER NOT NULL,
    sealed TEXT,
    -- What the provider calls the session, for its back-channel logout.
    issuer_session TEXT,
    lease_holder TEXT,
    lease_until INTEGER,
    PRIMARY KEY (user_id, provider)
) WITHOUT ROWID;
CREATE INDEX kept_identity_session ON kept_identity (provider, issuer_session);
