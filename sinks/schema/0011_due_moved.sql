-- Evidence of due dates that were moved once they had passed. Dossiers that were folded before have no such bit
-- until they are heard of again or rebuilt.

ALTER TABLE tallies ADD COLUMN IF NOT EXISTS due_moved UInt32;

ALTER TABLE rolled ADD COLUMN IF NOT EXISTS due_moved UInt32;

ALTER TABLE rolled_units ADD COLUMN IF NOT EXISTS due_moved UInt32;
