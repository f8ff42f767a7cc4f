-- Rehearsals: history replayed beside the live system. Rows of the live database alone; a rehearsal's own tables
-- are in a database of its own. `record` is JSON, as `sinks/rehearsals.py` writes it; the highest version stands.

CREATE TABLE IF NOT EXISTS rehearsals
(
    name String,
    version UInt64,
    state LowCardinality(String),
    at DateTime('Asia/Ho_Chi_Minh'),
    record String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name;

-- What the process that runs a rehearsal is asked to do: `pause` or `stop`. It heeds what comes after its start.
CREATE TABLE IF NOT EXISTS rehearsal_orders
(
    name String,
    version UInt64,
    wanted LowCardinality(String),
    at DateTime('Asia/Ho_Chi_Minh')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name;
