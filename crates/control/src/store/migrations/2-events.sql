-- What happened: the newest of each container, and of all. They outlive their container.
CREATE TABLE events (
    id     INTEGER PRIMARY KEY,
    key    TEXT NOT NULL,
    record TEXT NOT NULL  -- model::Event as JSON
) STRICT;

CREATE INDEX events_of_one ON events (key, id);
