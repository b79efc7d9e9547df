CREATE SCHEMA IF NOT EXISTS storefront;

-- The price is the one that the shopper saw when he put it in.
CREATE TABLE IF NOT EXISTS storefront.cart_items (
    customer text        NOT NULL,
    sku      text        NOT NULL,
    quantity bigint      NOT NULL CHECK (quantity > 0),
    price    bigint      NOT NULL,
    currency text        NOT NULL,
    version  bigint,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer, sku)
);

-- Where an order goes, and by which key it was asked for.
CREATE TABLE IF NOT EXISTS storefront.deliveries (
    order_id        uuid  PRIMARY KEY,
    customer        text  NOT NULL,
    idempotency_key text,
    address         jsonb NOT NULL,
    UNIQUE (customer, idempotency_key)
);
CREATE INDEX IF NOT EXISTS deliveries_of_a_customer ON storefront.deliveries (customer, order_id);

-- What the race's naive code sells from.
CREATE TABLE IF NOT EXISTS storefront.naive_stock (
    id    uuid   PRIMARY KEY,
    stock bigint NOT NULL
);
