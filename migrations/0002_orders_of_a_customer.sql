-- For pages of a customer's orders, oldest or newest first. Ids sort by time.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_of_customer ON optilock.orders (customer, id) WHERE customer IS NOT NULL;
