-- Compares a range of reservations with their holds, in one snapshot.
--
-- $1 the highest number of rows for each rule, $2 limit of reservations, and of holds; a reservation is never split;
-- $3 the id that the range continues after, or null.
-- Returns one row per discrepancy, or one without any: the number of its rule, its subject, the value expected and
-- the value found. Each row has the id that the next range continues after: null after the last one.
WITH place AS MATERIALIZED (
    SELECT coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'::uuid) AS id, $3::uuid IS NULL AS inclusive),
bound AS MATERIALIZED (
    SELECT least(
        (SELECT r.id FROM optilock.reservations r WHERE r.id > (SELECT id FROM place)
            ORDER BY r.id OFFSET $2::bigint - 1 LIMIT 1),
        (SELECT h.reservation_id FROM optilock.holds h WHERE h.reservation_id > (SELECT id FROM place)
            ORDER BY h.reservation_id OFFSET $2::bigint - 1 LIMIT 1)) AS next),
ids AS MATERIALIZED (
    SELECT b.id AS low, b.inclusive, coalesce(e.next, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) AS high
    FROM place b, bound e),
reservations AS MATERIALIZED (
    SELECT r.id, r.remaining, r.archived_before FROM optilock.reservations r
    WHERE r.id >= (SELECT low FROM ids) AND r.id <= (SELECT high FROM ids)
        AND (r.id > (SELECT low FROM ids) OR (SELECT inclusive FROM ids))),
holds AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
    WHERE h.reservation_id >= (SELECT low FROM ids) AND h.reservation_id <= (SELECT high FROM ids)
        AND (h.reservation_id > (SELECT low FROM ids) OR (SELECT inclusive FROM ids))),
totals AS MATERIALIZED (
    SELECT h.reservation_id, pg_catalog.count(*) AS count,
        coalesce(pg_catalog.sum(h.held) FILTER (WHERE h.state IN (0 /* held */, 3 /* expired */)), 0::numeric)
            AS remaining
    FROM holds h GROUP BY h.reservation_id),
found AS (
    SELECT 10 /* holds */ AS kind, coalesce(r.id, t.reservation_id)::text AS subject,
        CASE WHEN r.id IS NOT NULL AND r.archived_before IS NULL THEN 1::numeric ELSE 0::numeric END AS expected,
        coalesce(t.count, 0::bigint)::numeric AS found
    FROM reservations r FULL JOIN totals t ON t.reservation_id = r.id
    WHERE r.id IS NULL OR (r.archived_before IS NULL) <> (t.reservation_id IS NOT NULL)

    UNION ALL
    SELECT 11 /* hold-state */, h.reservation_id::text || ' '::text || h.sku,
        CASE WHEN h.held = 0 THEN 1::numeric ELSE 0::numeric END,
        CASE WHEN h.state = 1 /* consumed */ THEN 1::numeric ELSE 0::numeric END
    FROM holds h WHERE (h.held = 0) <> (h.state = 1 /* consumed */)

    UNION ALL
    SELECT 12 /* remaining */, r.id::text, coalesce(t.remaining, 0::numeric), r.remaining::numeric
    FROM reservations r LEFT JOIN totals t ON t.reservation_id = r.id
    WHERE r.remaining::numeric <> coalesce(t.remaining, 0::numeric)),
ranked AS (
    SELECT f.kind, f.subject, f.expected, f.found, pg_catalog.row_number() OVER (
        PARTITION BY f.kind ORDER BY f.subject COLLATE pg_catalog."C") AS rank
    FROM found f)
SELECT b.next, f.kind::smallint AS kind, f.subject,
    greatest(least(f.expected, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS expected,
    greatest(least(f.found, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS found
FROM bound b LEFT JOIN ranked f ON f.rank <= $1::bigint
ORDER BY f.kind, f.rank;
