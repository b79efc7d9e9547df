-- Reads the returns of some orders.
--
-- $1 orders.
SELECT r.id, r.order_id, r.reason, r.created_at,
    ARRAY(SELECT pg_catalog.jsonb_array_elements_text(r.skus)) AS skus,
    ARRAY(SELECT pg_catalog.jsonb_array_elements_text(r.quantities)::bigint) AS quantities
FROM optilock.returns r WHERE r.order_id = ANY ($1::uuid[]) ORDER BY r.order_id, r.id;
