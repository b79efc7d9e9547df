-- The outbox: accepted orders that no reader has acknowledged. Only an inventory with the outbox writes it.

CREATE TABLE optilock.outbox (
    -- The transaction that accepted the order, as for movements: it says what is still to come.
    transaction_id bigint NOT NULL DEFAULT pg_catalog.pg_current_xact_id()::text::bigint,
    order_id       uuid   NOT NULL,
    -- The order in which entries are read, and the only index: a sale pays for each.
    PRIMARY KEY (transaction_id, order_id)
);
