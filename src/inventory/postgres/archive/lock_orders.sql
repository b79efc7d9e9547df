-- Reads a page of all orders by id, and locks those of them that have ended before a time. Skips locked ones.
--
-- $1 time, $2 the id that the page continues after, or null, $3 limit.
WITH page AS MATERIALIZED (
    SELECT o.id FROM optilock.orders o
    WHERE o.id >= coalesce($2::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
        AND o.id IS DISTINCT FROM $2::uuid
    ORDER BY o.id LIMIT $3::bigint),
locked AS MATERIALIZED (
    SELECT o.id FROM optilock.orders o
    WHERE o.id = ANY (ARRAY(SELECT id FROM page)) AND o.archived_before IS NULL AND o.idempotency_key IS NULL
        AND o.status IN (2 /* paid */, 3 /* cancelled */) AND o.created_at < $1::timestamptz
    ORDER BY o.id FOR NO KEY UPDATE SKIP LOCKED)
SELECT ARRAY(SELECT id FROM locked) AS locked, (SELECT pg_catalog.count(*) FROM page) AS rows,
    (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last;
