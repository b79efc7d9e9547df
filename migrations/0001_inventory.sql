-- Products, orders, reservations, and the ledger of every change of a product.
--
-- No foreign key points at products: a sale would pay for its check under the lock of the hottest
-- row there is. Lines and movements are written only by statements that take the product's row from
-- its own UPDATE, and products are retired, never deleted.

CREATE TABLE IF NOT EXISTS optilock.products (
    -- Byte order, so that every server and every client lock rows in the same order.
    sku        text COLLATE "C" PRIMARY KEY CHECK (sku <> ''),
    name       text        NOT NULL CHECK (name <> ''),
    price      bigint      NOT NULL CHECK (price >= 0),
    currency   text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    stock      bigint      NOT NULL CHECK (stock >= 0),
    reserved   bigint      NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    -- Grows with every change and numbers the ledger.
    version    bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    -- Grows with edits of the catalogue (name, price) only.
    revision   bigint      NOT NULL DEFAULT 1 CHECK (revision >= 1),
    retired    boolean     NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp(),
    -- Not sold for the time being; listed, counted and returned as before.
    paused     boolean     NOT NULL DEFAULT false,
    CHECK (reserved <= stock)
);
ALTER TABLE optilock.products SET (fillfactor = 70);
-- No index on version, stock or updated_at, not even a partial one: it would end HOT updates, and
-- with them the speed of a hot product.

CREATE TABLE IF NOT EXISTS optilock.orders (
    id         uuid PRIMARY KEY,
    customer   text,
    -- 0 pending payment, 1 payment failed, 2 paid, 3 cancelled, 4 void
    status     smallint    NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 4),
    total      bigint      NOT NULL CHECK (total >= 0),
    currency   text        NOT NULL,
    version    bigint      NOT NULL DEFAULT 1 CHECK (version >= 1),
    -- Names the request within its customer's; NULL again when it has expired.
    idempotency_key text,
    -- The reservation that it was made from.
    reservation_id uuid,
    -- Why it was cancelled.
    reason     text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp(),
    -- Since when it has awaited payment: its creation, or the last time it was revived.
    pending_since timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp()
);
-- For reports of the last days: skips the blocks that hold older orders only. A few bytes per block, so
-- that a sale hardly pays for it.
CREATE INDEX IF NOT EXISTS orders_created ON optilock.orders USING brin (created_at);
-- For the clean-up of unpaid orders. With the key, so that a page ends at one row, however many are of the same time.
CREATE INDEX IF NOT EXISTS orders_unpaid ON optilock.orders (pending_since, id) WHERE status IN (0, 1);
CREATE UNIQUE INDEX IF NOT EXISTS orders_key ON optilock.orders (coalesce(customer, ''), idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE IF NOT EXISTS optilock.order_lines (
    order_id uuid   NOT NULL,
    sku      text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    price    bigint NOT NULL CHECK (price >= 0),
    -- Units that came back after they were paid.
    returned bigint NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND quantity),
    PRIMARY KEY (order_id, sku)
);

-- Units held for buyers. State and expiry stand on each hold.
CREATE TABLE IF NOT EXISTS optilock.reservations (
    id         uuid PRIMARY KEY,
    customer   text,
    idempotency_key text,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp(),
    -- Units that no order has taken, in holds that are live or expired; 0 when the reservation is used up or
    -- was released.
    remaining  bigint      NOT NULL CHECK (remaining >= 0)
);
CREATE UNIQUE INDEX IF NOT EXISTS reservations_key ON optilock.reservations (coalesce(customer, ''), idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE TABLE IF NOT EXISTS optilock.holds (
    reservation_id uuid        NOT NULL,
    sku            text COLLATE "C" NOT NULL,
    quantity       bigint      NOT NULL CHECK (quantity > 0),
    -- Units that orders have not taken; those of live holds are what products count as reserved.
    held           bigint      NOT NULL CHECK (held BETWEEN 0 AND quantity),
    -- 0 live, 1 consumed, 2 released, 3 lapsed
    state          smallint    NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    expires_at     timestamptz NOT NULL,
    PRIMARY KEY (reservation_id, sku)
);
-- For who needs units of a product, and for the clean-up.
CREATE INDEX IF NOT EXISTS holds_of_product ON optilock.holds (sku, expires_at) WHERE state = 0;
CREATE INDEX IF NOT EXISTS holds_due ON optilock.holds (expires_at, sku, reservation_id) WHERE state = 0;

-- One row per return, so that it takes effect once.
CREATE TABLE IF NOT EXISTS optilock.returns (
    id         uuid PRIMARY KEY,
    order_id   uuid        NOT NULL,
    -- Arrays of the same length, as JSON: not every engine has columns of arrays.
    skus       jsonb       NOT NULL,
    quantities jsonb       NOT NULL,
    reason     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp()
);

-- One row per product and version: a lost update would need the same key twice.
CREATE TABLE IF NOT EXISTS optilock.movements (
    sku         text COLLATE "C" NOT NULL,
    version     bigint      NOT NULL,
    -- 1 sale, 2 given back, 3 adjustment, 4 reserved, 5 lapsed, 6 count, 7 edit, 8 added, 9 retired,
    -- 10 released, 11 returned, 12 revived, 13 paused, 14 resumed; kinds that a later version adds are data for the
    -- ones before it
    kind        smallint    NOT NULL CHECK (kind >= 1),
    delta       bigint      NOT NULL,
    stock_after bigint      NOT NULL CHECK (stock_after >= 0),
    order_id    uuid,
    reservation_id uuid,
    -- Names a change that has no order, so that it takes effect once.
    token       uuid,
    reason      text,
    moved_at    timestamptz NOT NULL DEFAULT pg_catalog.statement_timestamp(),
    -- The transaction that wrote the row, for readers of all movements: as transactions commit in another order than
    -- they begin, no time and no sequence says what is still to come.
    transaction_id bigint   NOT NULL DEFAULT pg_catalog.pg_current_xact_id()::text::bigint,
    PRIMARY KEY (sku, version)
);
CREATE INDEX IF NOT EXISTS movements_feed ON optilock.movements (transaction_id, sku, version);
CREATE UNIQUE INDEX IF NOT EXISTS movements_token ON optilock.movements (token) WHERE token IS NOT NULL;

-- A sale in a host's transaction whose hook is not through yet. Its row is deleted when it is; until
-- then it violates the constraint, which is checked at COMMIT: a transaction in which a checkout was
-- dropped midway can't be committed.

-- Always empty.
CREATE TABLE IF NOT EXISTS optilock.no_sales (order_id uuid PRIMARY KEY CHECK (false));

-- Unlogged, as none of its rows is ever committed.
CREATE UNLOGGED TABLE IF NOT EXISTS optilock.unfinished_sales (
    order_id uuid NOT NULL,
    -- One call of checkout_in. Two calls for the same order must not wait for each other here: the second
    -- may hold products that the first one needs.
    call     uuid NOT NULL,
    PRIMARY KEY (order_id, call),
    CONSTRAINT sale_needs_its_hook FOREIGN KEY (order_id) REFERENCES optilock.no_sales (order_id)
        DEFERRABLE INITIALLY DEFERRED
);

-- The outbox: accepted orders that no reader has acknowledged. Only an inventory with the outbox writes it.

CREATE TABLE IF NOT EXISTS optilock.outbox (
    -- The transaction that accepted the order, as for movements: it says what is still to come.
    transaction_id bigint NOT NULL DEFAULT pg_catalog.pg_current_xact_id()::text::bigint,
    order_id       uuid   NOT NULL,
    -- The order in which entries are read, and the only index: a sale pays for each.
    PRIMARY KEY (transaction_id, order_id)
);
