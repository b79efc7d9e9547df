-- For comparing orders with the ledger in ranges, and for the archive. Ids sort by time, so that entries are added at
-- one end of the index.
CREATE INDEX CONCURRENTLY IF NOT EXISTS movements_of_order ON optilock.movements (order_id) WHERE order_id IS NOT NULL;
