-- Tallies by month of the cohort, so that months which are not written any more are one part each; and the sums
-- of such months by body and by unit, derived from them.

DROP TABLE IF EXISTS tallies_next;

CREATE TABLE IF NOT EXISTS tallies_next AS tallies
ENGINE = ReplacingMergeTree(version)
PARTITION BY if(cohort BETWEEN 201500 AND 204999, cohort, 0)
ORDER BY (unit, cohort, system, basis, day);

INSERT INTO tallies_next SELECT * FROM tallies SETTINGS max_partitions_per_insert_block = 0;

EXCHANGE TABLES tallies_next AND tallies;

DROP TABLE tallies_next;

-- The sums of a month's tallies by body. Only rows of the (month, made) that `settled` names count, and only
-- while it holds.
CREATE TABLE IF NOT EXISTS rolled
(
    month UInt32,
    made UInt64,
    body LowCardinality(String),
    basis UInt8,
    system UInt8,
    day Date,
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
ENGINE = MergeTree
PARTITION BY (month, made)
ORDER BY (basis, body, day, system);

-- The same by unit. Most who ask for units ask for one basis of all of them, or of a few.
CREATE TABLE IF NOT EXISTS rolled_units
(
    month UInt32,
    made UInt64,
    unit LowCardinality(String),
    basis UInt8,
    day Date,
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
ENGINE = MergeTree
PARTITION BY (month, made)
ORDER BY (basis, unit, day);

-- What a month's sums were made from: the content of its parts of `tallies`, and the register. They hold for as
-- long as both are the same.
CREATE TABLE IF NOT EXISTS settled
(
    month UInt32,
    made UInt64,
    parts UInt64,
    loads UInt64
)
ENGINE = ReplacingMergeTree(made)
ORDER BY month;
