-- Deletes the oldest entries of the outbox, up to a position.
--
-- $1 transaction and $2 order of the last entry, $3 limit.
-- Returns the numbers of deleted entries and of those that this statement found, at most the limit each. Fewer are
-- deleted than found if another call deletes the same entries, for which this one waits, or if a policy hides
-- entries from a lock.
--
-- The delete finds the rows by their place: a join by the key alone reads the whole table if there are many entries.
-- An entry is never updated, so its place stays while this statement waits for a lock.
WITH snapshot AS MATERIALIZED (
    SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint AS horizon),
found AS MATERIALIZED (
    SELECT e.transaction_id, e.order_id FROM optilock.outbox e
    WHERE (e.transaction_id, e.order_id) <= ($1::bigint, $2::uuid)
        AND e.transaction_id < (SELECT horizon FROM snapshot)
    ORDER BY e.transaction_id, e.order_id LIMIT $3),
locked AS MATERIALIZED (
    SELECT e.transaction_id, e.order_id, e.ctid AS place FROM optilock.outbox e
    WHERE (e.transaction_id, e.order_id) <= ($1::bigint, $2::uuid)
        AND e.transaction_id < (SELECT horizon FROM snapshot)
    ORDER BY e.transaction_id, e.order_id LIMIT $3 FOR UPDATE),
deleted AS (
    DELETE FROM optilock.outbox e USING locked k
    WHERE e.transaction_id = k.transaction_id AND e.order_id = k.order_id
        AND e.ctid = ANY (ARRAY(SELECT place FROM locked))
    RETURNING e.transaction_id, e.order_id)
SELECT s.horizon, (SELECT pg_catalog.count(*) FROM locked) AS deleted,
    (SELECT pg_catalog.count(*) FROM found) AS found,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM deleted d
                    JOIN locked k ON k.transaction_id = d.transaction_id AND k.order_id = d.order_id
            ) = (SELECT pg_catalog.count(*) FROM locked)
        ) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || s.horizon::text)::boolean
        ELSE true
    END AS stored
FROM snapshot s;
