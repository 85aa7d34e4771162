-- The client that the hub is at the authorization server of an upstream server. `detail` is JSON.
CREATE TABLE upstream_client (
    server TEXT NOT NULL,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed TEXT,
    detail TEXT NOT NULL,
    PRIMARY KEY (server, issuer)
);

-- A grant at an upstream server, with its sealed tokens. Whoever refreshes holds the lease. `detail` is JSON.
CREATE TABLE upstream_connection (
    server TEXT NOT NULL,
    owner TEXT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    sealed TEXT,
    detail TEXT NOT NULL,
    lease_holder TEXT,
    lease_until BIGINT,
    PRIMARY KEY (server, owner)
);

-- Consents that have begun: the hash of `state`, and what the callback needs, sealed. Taken once.
CREATE TABLE upstream_flow (
    hash BYTEA NOT NULL PRIMARY KEY,
    sealed TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
