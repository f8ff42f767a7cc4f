-- On which days each unit was heard of, and until when: what its silence is told by.
-- To find it in a national year of `dossiers` takes longer than a panel may. A row comes with each insert into
-- `dossiers`; one that is repeated changes nothing, since `last` is a maximum.

CREATE TABLE IF NOT EXISTS heard
(
    unit LowCardinality(String),
    day Date,
    last SimpleAggregateFunction(max, DateTime('Asia/Ho_Chi_Minh'))
)
ENGINE = AggregatingMergeTree
ORDER BY (unit, day);

CREATE MATERIALIZED VIEW IF NOT EXISTS heard_of TO heard AS
SELECT unit, toDate(learnt) AS day, max(learnt) AS last
FROM dossiers
GROUP BY unit, day;

INSERT INTO heard
SELECT unit, toDate(learnt) AS day, max(learnt) AS last
FROM dossiers
GROUP BY unit, day
SETTINGS optimize_aggregation_in_order = 1;
