-- Reference data, valid in time, each row with its source. `motcua migrate` replaces these rows as a whole.

CREATE TABLE IF NOT EXISTS units
(
    code String,
    name_vi String,
    name_en String,
    level LowCardinality(String),
    parent String,
    valid_from String,
    valid_to String,
    successor String,
    one_stop String,
    gso String,
    source String
)
ENGINE = MergeTree
ORDER BY (code, valid_from);

CREATE TABLE IF NOT EXISTS procedures
(
    kind LowCardinality(String),
    code String,
    name_vi String,
    name_en String,
    sector String,
    system LowCardinality(String),
    result_required String,
    fee String,
    source String
)
ENGINE = MergeTree
ORDER BY (kind, code);

CREATE TABLE IF NOT EXISTS targets
(
    level LowCardinality(String),
    indicator LowCardinality(String),
    valid_from String,
    valid_to String,
    target String,
    confirmed String,
    source String
)
ENGINE = MergeTree
ORDER BY (indicator, level, valid_from);

CREATE TABLE IF NOT EXISTS definitions
(
    definition String,
    basis LowCardinality(String),
    numerator String,
    numerator_clean String,
    denominator String,
    name_vi String,
    name_en String,
    source String,
    valid_from String,
    valid_to String
)
ENGINE = MergeTree
ORDER BY definition;

-- One row for each register that was loaded: a worker that sees another count than before reads it anew.
CREATE TABLE IF NOT EXISTS register_log
(
    at DateTime('Asia/Ho_Chi_Minh'),
    origin String
)
ENGINE = MergeTree
ORDER BY at;

-- The body of each registered unit on each day, as `rates.register` decides it.
CREATE TABLE IF NOT EXISTS unit_bodies
(
    unit String,
    from_day Date,
    to_day Date,
    body String
)
ENGINE = MergeTree
ORDER BY (unit, from_day);

CREATE DICTIONARY IF NOT EXISTS body_of
(
    unit String,
    from_day Date,
    to_day Date,
    body String
)
PRIMARY KEY unit
SOURCE(CLICKHOUSE(DB '$database' TABLE 'unit_bodies'))
LAYOUT(COMPLEX_KEY_RANGE_HASHED())
RANGE(MIN from_day MAX to_day)
LIFETIME(0);
