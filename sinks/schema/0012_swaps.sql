-- What was put in the place of what was live: by whom, why, and what it was held against before.
-- `plan` and `report` are JSON, as `sinks/swaps.py` writes them; the highest version stands.

CREATE TABLE IF NOT EXISTS swaps
(
    number UInt32,
    version UInt64,
    state LowCardinality(String),
    kind LowCardinality(String),
    name String,
    months String,
    because String,
    by String,
    at DateTime('Asia/Ho_Chi_Minh'),
    plan String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY number;

CREATE TABLE IF NOT EXISTS parities
(
    name String,
    version UInt64,
    at DateTime('Asia/Ho_Chi_Minh'),
    stamp String,
    accepted UInt8,
    report String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name;
