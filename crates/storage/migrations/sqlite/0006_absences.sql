-- What the configuration no longer names although something is kept for it, and since when.
CREATE TABLE absence (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
