-- Reads a page of all reservations by id, and locks those of them that were made before a time and of which nothing
-- is held any more. Skips locked ones, and those that disagree with their holds.
--
-- $1 time, $2 the id that the page continues after, or null, $3 limit.
WITH page AS MATERIALIZED (
    SELECT r.id FROM optilock.reservations r
    WHERE r.id >= coalesce($2::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
        AND r.id IS DISTINCT FROM $2::uuid
    ORDER BY r.id LIMIT $3::bigint),
locked AS MATERIALIZED (
    SELECT r.id FROM optilock.reservations r
    WHERE r.id = ANY (ARRAY(SELECT id FROM page)) AND r.archived_before IS NULL AND r.created_at < $1::timestamptz
        AND (SELECT pg_catalog.count(*) FROM optilock.holds h
            WHERE h.reservation_id = r.id AND (h.state = 0 /* held */ OR h.expires_at >= $1::timestamptz
                OR (h.held = 0) <> (h.state = 1 /* consumed */))) = 0
        AND r.remaining::numeric = (
            SELECT CASE WHEN pg_catalog.count(*) > 0 THEN coalesce(
                pg_catalog.sum(h.held) FILTER (WHERE h.state = 3 /* expired */), 0::numeric) END
            FROM optilock.holds h WHERE h.reservation_id = r.id)
    ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED)
SELECT ARRAY(SELECT id FROM locked) AS locked, (SELECT pg_catalog.count(*) FROM page) AS rows,
    (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last;
