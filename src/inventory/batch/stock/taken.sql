-- Reads which of these ids and idempotency keys exist.
--
-- $1 orders, $2 customers, $3 keys; $4 reservations, $5 customers, $6 keys; $7 return requests.
-- Returns the id of each request of which the id or the key exists.
SELECT o.id FROM optilock.orders o WHERE o.id = ANY ($1::uuid[])
UNION ALL
SELECT e.id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS e (id, customer, key)
    JOIN optilock.orders o
        ON o.idempotency_key = e.key AND coalesce(o.customer, '') = coalesce(e.customer, '')
UNION ALL
SELECT r.id FROM optilock.reservations r WHERE r.id = ANY ($4::uuid[])
UNION ALL
SELECT e.id FROM unnest($4::uuid[], $5::text[], $6::text[]) AS e (id, customer, key)
    JOIN optilock.reservations r
        ON r.idempotency_key = e.key AND coalesce(r.customer, '') = coalesce(e.customer, '')
UNION ALL
SELECT r.id FROM optilock.returns r WHERE r.id = ANY ($7::uuid[]);
