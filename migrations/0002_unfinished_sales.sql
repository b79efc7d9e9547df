-- A sale in a host's transaction whose hook is not through yet. Its row is deleted when it is; until
-- then it violates the constraint, which is checked at COMMIT: a transaction in which a checkout was
-- dropped midway can't be committed.

-- Always empty.
CREATE TABLE optilock.no_sales (order_id uuid PRIMARY KEY CHECK (false));

-- Unlogged, as none of its rows is ever committed.
CREATE UNLOGGED TABLE optilock.unfinished_sales (
    order_id uuid NOT NULL,
    -- One call of checkout_in. Two calls for the same order must not wait for each other here: the second
    -- may hold products that the first one needs.
    call     uuid NOT NULL,
    PRIMARY KEY (order_id, call),
    CONSTRAINT sale_needs_its_hook FOREIGN KEY (order_id) REFERENCES optilock.no_sales (order_id)
        DEFERRABLE INITIALLY DEFERRED
);
