-- Alerts: where each rule and subject stands, how it came to that, what is silenced, and who was told.
-- `version` of a state is the moment that data were complete to, so a worker that was stalled can only lose.

CREATE TABLE IF NOT EXISTS alert_state
(
    rule LowCardinality(String),
    level LowCardinality(String),
    subject String,
    version UInt64,
    status LowCardinality(String),
    severity LowCardinality(String),
    since DateTime('Asia/Ho_Chi_Minh'),
    turning DateTime('Asia/Ho_Chi_Minh'),
    value Nullable(Float64),
    threshold Nullable(Float64),
    numerator UInt64,
    denominator UInt64,
    reason_vi String,
    reason_en String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (rule, level, subject);

-- Every alert that began, fired, got worse or ended. `version` is the moment, in seconds since 1970 UTC.
CREATE TABLE IF NOT EXISTS alert_log
(
    rule LowCardinality(String),
    level LowCardinality(String),
    subject String,
    version UInt64,
    body LowCardinality(String),
    before LowCardinality(String),
    status LowCardinality(String),
    severity LowCardinality(String),
    value Nullable(Float64),
    threshold Nullable(Float64),
    median Nullable(Float64),
    numerator UInt64,
    denominator UInt64,
    reason_vi String,
    reason_en String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (rule, level, subject, version);

-- The last evaluation. `fresh` 0: data had not come far enough since, and every state is kept.
CREATE TABLE IF NOT EXISTS alert_runs
(
    one UInt8,
    version UInt64,
    complete_to DateTime('Asia/Ho_Chi_Minh'),
    fresh UInt8
)
ENGINE = ReplacingMergeTree(version)
ORDER BY one;

-- `rule`: an id, or * for all; `subject`: a code, CODE.* for the units of a body, or * for all.
CREATE TABLE IF NOT EXISTS alert_silences
(
    rule LowCardinality(String),
    subject String,
    version UInt64,
    until DateTime('Asia/Ho_Chi_Minh'),
    reason String,
    by String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (rule, subject);

-- What each way out was told last of a body's alerts. `tries`: that failed since; `failing`: why.
CREATE TABLE IF NOT EXISTS alert_notices
(
    channel LowCardinality(String),
    body LowCardinality(String),
    version UInt64,
    told String,
    told_at DateTime('Asia/Ho_Chi_Minh'),
    tries UInt32,
    failing String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (channel, body);
