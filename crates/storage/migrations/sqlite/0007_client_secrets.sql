-- The secret of a client before its newest one, and until when it is good.
ALTER TABLE oauth_client ADD COLUMN previous_secret_hash BLOB;
ALTER TABLE oauth_client ADD COLUMN previous_secret_until INTEGER;
-- When the newest one was made; with the client where there is none.
ALTER TABLE oauth_client ADD COLUMN secret_at INTEGER;
