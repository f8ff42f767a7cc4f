-- A month of history changes no more once it is over: some time after its last change it becomes one part, in which
-- the engine need not look for equal rows whenever it is asked what was known on a day.

ALTER TABLE history MODIFY SETTING
    min_age_to_force_merge_seconds = 600,
    min_age_to_force_merge_on_partition_only = 1;
