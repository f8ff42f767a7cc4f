-- State: dossiers, their tallies, dead letters, and how far each partition is durable.
-- Every row is full state as of its version; of a key the highest version stands (design: rule 1).
-- Partitions follow the cohort's year, never a date that can change, so a row and its replacement always meet.

CREATE TABLE IF NOT EXISTS dossiers
(
    unit LowCardinality(String),
    cohort UInt32,
    number String,
    version UInt64,
    learnt DateTime('Asia/Ho_Chi_Minh'),
    status UInt8,
    record_status UInt8,
    record_time DateTime('Asia/Ho_Chi_Minh'),
    progress_status UInt8,
    progress_time DateTime('Asia/Ho_Chi_Minh'),
    received DateTime('Asia/Ho_Chi_Minh'),
    completed DateTime('Asia/Ho_Chi_Minh'),
    due DateTime('Asia/Ho_Chi_Minh'),
    facts UInt8,
    procedure LowCardinality(String),
    sector LowCardinality(String),
    system UInt8,
    mask UInt32,
    received_day Date,
    completed_day Date,
    due_day Date
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY if(cohort BETWEEN 201500 AND 204999, intDiv(cohort, 100), 0)
ORDER BY (unit, cohort, number);

CREATE TABLE IF NOT EXISTS tallies
(
    unit LowCardinality(String),
    cohort UInt32,
    system UInt8,
    basis UInt8,
    day Date,
    version UInt64,
    received UInt32,
    done UInt32,
    completed UInt32,
    returned UInt32,
    open UInt32,
    result_required UInt32,
    e_result UInt32,
    e_result_clean UInt32,
    e_result_required UInt32,
    e_result_clean_required UInt32,
    returned_required UInt32,
    e_result_returned_required UInt32,
    e_result_clean_returned_required UInt32,
    done_e_result UInt32,
    done_e_result_clean UInt32,
    done_satisfied UInt32,
    done_satisfied_clean UInt32,
    on_time UInt32,
    late UInt32,
    digitised UInt32,
    population_database UInt32,
    withdrawn UInt32
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY if(cohort BETWEEN 201500 AND 204999, intDiv(cohort, 100), 0)
ORDER BY (unit, cohort, system, basis, day);

CREATE TABLE IF NOT EXISTS dead_letters
(
    version UInt64,
    partition UInt16,
    offset UInt64,
    received_at DateTime('Asia/Ho_Chi_Minh'),
    unit String,
    reason LowCardinality(String),
    field LowCardinality(String),
    detail String,
    fields String
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (partition, version);

CREATE TABLE IF NOT EXISTS progress
(
    partition UInt16,
    version UInt64,
    received_at DateTime('Asia/Ho_Chi_Minh'),
    complete_to DateTime('Asia/Ho_Chi_Minh')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY partition;

CREATE TABLE IF NOT EXISTS generations
(
    generation UInt16,
    version UInt64,
    cluster String,
    topic String,
    topic_id String,
    partitions UInt16,
    registered_at DateTime('Asia/Ho_Chi_Minh')
)
ENGINE = ReplacingMergeTree(version)
ORDER BY generation;
