-- What each accepted event made of its dossier, and how that had counted until then: whatever counts at the end
-- of a day is the sum of the changes that were learnt by then. A change that is written again is the same row.
-- By the month in which they were learnt, so that what was known lately is found without the rest. A version is
-- that of one event, so it names the change of a unit; a rebuild says another thing of it at another time.

CREATE TABLE IF NOT EXISTS history
(
    unit LowCardinality(String),
    cohort UInt32,
    number String,
    version UInt64,
    learnt DateTime('Asia/Ho_Chi_Minh'),
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
    was_mask UInt32,
    was_system UInt8,
    was_received_day Date,
    was_completed_day Date,
    was_due_day Date,
    status UInt8 ALIAS if(record_status = 0, 0, if(progress_time > record_time, progress_status, record_status)),
    received_day Date ALIAS if(bitTest(mask, 0), toDate(received), toDate(0)),
    completed_day Date ALIAS if(bitTest(mask, 1) AND toUInt32(completed) > 0, toDate(completed), toDate(0)),
    due_day Date ALIAS if(bitTest(mask, 0) AND toUInt32(due) > 0, toDate(due), toDate(0))
)
ENGINE = ReplacingMergeTree
PARTITION BY if(toYear(learnt) BETWEEN 2015 AND 2049, toYYYYMM(learnt), 0)
ORDER BY (unit, version, learnt);

-- Of dossiers that were folded before, what is known is taken to have been learnt with their last event.
INSERT INTO history
SELECT unit, cohort, number, version, learnt, record_status, record_time, progress_status, progress_time,
    received, completed, due, facts, procedure, sector, system, mask, 0, 0, toDate(0), toDate(0), toDate(0)
FROM dossiers FINAL
SETTINGS max_partitions_per_insert_block = 0;
