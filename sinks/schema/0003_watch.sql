-- What the monitor knows about itself: how long its pipe takes, what its audits found, how its workers fare.

CREATE TABLE IF NOT EXISTS canaries
(
    partition UInt16,
    version UInt64,
    sent_at DateTime64(3, 'Asia/Ho_Chi_Minh'),
    visible_at DateTime64(3, 'Asia/Ho_Chi_Minh') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY partition;

-- `wrong`: cells that differ now; `found`: disagreements ever found in this cohort. 0 for times that never were.
CREATE TABLE IF NOT EXISTS audits
(
    unit LowCardinality(String),
    cohort UInt32,
    version UInt64,
    checked_at DateTime('Asia/Ho_Chi_Minh'),
    wrong UInt32,
    found UInt32,
    found_at DateTime('Asia/Ho_Chi_Minh'),
    repaired_at DateTime('Asia/Ho_Chi_Minh')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (unit, cohort);

-- Counters since the worker's start, one row each time it tells; kept for a week.
CREATE TABLE IF NOT EXISTS workers
(
    worker String,
    at DateTime('Asia/Ho_Chi_Minh'),
    version UInt64,
    started_at DateTime('Asia/Ho_Chi_Minh'),
    counts Map(String, UInt64),
    seconds Map(String, Float64),
    lag Map(UInt16, UInt64)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (worker, at)
TTL at + INTERVAL 7 DAY;
