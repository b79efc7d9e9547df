CREATE SCHEMA IF NOT EXISTS storefront;

-- price: what the product cost when it was put into the cart.
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

-- The shipping address of an order, and the key of the request that placed it.
CREATE TABLE IF NOT EXISTS storefront.deliveries (
    order_id        uuid  PRIMARY KEY,
    customer        text  NOT NULL,
    idempotency_key text,
    address         jsonb NOT NULL,
    UNIQUE (customer, idempotency_key)
);
CREATE INDEX IF NOT EXISTS deliveries_of_a_customer ON storefront.deliveries (customer, order_id);

-- The stock of the race's naive code.
CREATE TABLE IF NOT EXISTS storefront.naive_stock (
    id    uuid   PRIMARY KEY,
    stock bigint NOT NULL
);
