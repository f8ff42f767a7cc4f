-- Dead letters as data: what a record was sent in, so that it can be sent again, which letters are the same,
-- and what became of those that were sent again.

ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS head String;

-- A letter is its content: the record and who sent it how; of a message of which nothing is kept, its digest;
-- of what even that is missing, where it stood.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS letter String MATERIALIZED lower(hex(multiIf(
    fields != '', sipHash128(JSONExtractString(head, 'service'), JSONExtractString(head, 'madonvi'), fields),
    match(detail, 'sha256 [0-9a-f]{64}$$'), sipHash128(right(detail, 64)),
    sipHash128(partition, version))));

-- Each time a letter was sent again. `step`: 0 meant, 1 sent, 2 taken, 3 failed again, and the highest stands.
-- `position`: the version of the message that was sent, 0 while it is only meant. `whole`: that message was the
-- original as it was, not one record of it. `seen`: how often the letter had been refused by then. `ground`:
-- what decided, so that nothing is tried twice on the same ground.
CREATE TABLE IF NOT EXISTS replays
(
    letter String,
    tries UInt32,
    step UInt8,
    partition UInt16,
    position UInt64,
    whole UInt8,
    seen UInt64,
    ground String,
    at DateTime('Asia/Ho_Chi_Minh')
)
ENGINE = ReplacingMergeTree(step)
ORDER BY (letter, tries);
