-- Reads whether a return request was made before, and for the same units.
--
-- $1 return request, $2 order, $3 SKUs, $4 quantities.
-- Returns no row if there is no such return request.
SELECT order_id = $2
    AND skus OPERATOR(pg_catalog.=) pg_catalog.to_jsonb($3::text[])
    AND quantities OPERATOR(pg_catalog.=) pg_catalog.to_jsonb($4::bigint[]) AS same
FROM optilock.returns WHERE id = $1;
