-- One view for each basis now (`sinks.history`).

DROP VIEW IF EXISTS restatements;
DROP VIEW IF EXISTS restatements_known;
