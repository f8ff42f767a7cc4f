-- Tallies of evidence: how figures came about. Dossiers that were folded before have none of these bits until
-- they are heard of again or rebuilt.

ALTER TABLE tallies
    ADD COLUMN IF NOT EXISTS sync_late UInt32,
    ADD COLUMN IF NOT EXISTS backdated UInt32,
    ADD COLUMN IF NOT EXISTS reopened UInt32,
    ADD COLUMN IF NOT EXISTS closed_from_supplement UInt32,
    ADD COLUMN IF NOT EXISTS no_due UInt32,
    ADD COLUMN IF NOT EXISTS overdue_sync_late UInt32;

ALTER TABLE rolled
    ADD COLUMN IF NOT EXISTS sync_late UInt32,
    ADD COLUMN IF NOT EXISTS backdated UInt32,
    ADD COLUMN IF NOT EXISTS reopened UInt32,
    ADD COLUMN IF NOT EXISTS closed_from_supplement UInt32,
    ADD COLUMN IF NOT EXISTS no_due UInt32,
    ADD COLUMN IF NOT EXISTS overdue_sync_late UInt32;

ALTER TABLE rolled_units
    ADD COLUMN IF NOT EXISTS sync_late UInt32,
    ADD COLUMN IF NOT EXISTS backdated UInt32,
    ADD COLUMN IF NOT EXISTS reopened UInt32,
    ADD COLUMN IF NOT EXISTS closed_from_supplement UInt32,
    ADD COLUMN IF NOT EXISTS no_due UInt32,
    ADD COLUMN IF NOT EXISTS overdue_sync_late UInt32;
