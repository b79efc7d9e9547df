-- Reads which of these ids and idempotency keys exist.
--
-- $1 orders, $2 customers, $3 keys; $4 reservations, $5 customers, $6 keys; $7 return requests.
-- Returns the id of each request of which the id or the key exists.
--
-- The subqueries look up one row each by its key. Joined, a plan that is made while the tables are small would
-- read all of them.
SELECT e.id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS e (id, customer, key),
    LATERAL (
        SELECT FROM optilock.orders o WHERE o.id = e.id
        UNION ALL
        SELECT FROM optilock.orders o
        WHERE o.idempotency_key = e.key AND coalesce(o.customer, '') = coalesce(e.customer, '')
        LIMIT 1) o
UNION ALL
SELECT e.id FROM unnest($4::uuid[], $5::text[], $6::text[]) AS e (id, customer, key),
    LATERAL (
        SELECT FROM optilock.reservations r WHERE r.id = e.id
        UNION ALL
        SELECT FROM optilock.reservations r
        WHERE r.idempotency_key = e.key AND coalesce(r.customer, '') = coalesce(e.customer, '')
        LIMIT 1) r
UNION ALL
SELECT e.id FROM pg_catalog.unnest($7::uuid[]) AS e (id),
    LATERAL (SELECT FROM optilock.returns r WHERE r.id = e.id LIMIT 1) r;
