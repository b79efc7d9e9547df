-- Reads the product that the change with a token changed, and that change's movement.
--
-- $1 token.
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at, m.delta, m.kind
FROM optilock.movements m JOIN optilock.products p ON p.sku = m.sku WHERE m.token = $1;
