-- What we own: one row a container, and a few values about the store itself.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE containers (
    key    TEXT PRIMARY KEY,
    record TEXT NOT NULL  -- model::Container as JSON
) STRICT;
