-- The tables are in the schema of the inventory, so that a sale and its delivery are on one server (the guide, "Many
-- shops"). Their names begin with `shop_`, which no table of the inventory does.

-- The cart of a customer. It is never deleted: an order is made once for each version.
-- items: a list of {sku, quantity, price: {minor, currency}, version}; price is what the customer saw.
CREATE TABLE IF NOT EXISTS storefront.shop_carts (
    customer text   PRIMARY KEY,
    items    jsonb  NOT NULL,
    version  bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);

-- The shipping address of an order, and the cart that was bought: one order for each version of a cart.
CREATE TABLE IF NOT EXISTS storefront.shop_deliveries (
    order_id     uuid   PRIMARY KEY,
    customer     text   NOT NULL,
    cart_version bigint NOT NULL,
    address      jsonb  NOT NULL,
    -- The shopper has cancelled the order after it had expired: no late payment revives it.
    withdrawn    bool   NOT NULL DEFAULT false,
    UNIQUE (customer, cart_version)
);

-- The keys of the requests that were answered with an order.
CREATE TABLE IF NOT EXISTS storefront.shop_checkout_keys (
    customer text NOT NULL,
    key      text NOT NULL,
    order_id uuid NOT NULL,
    PRIMARY KEY (customer, key)
);

-- The stock of the race's naive code.
CREATE TABLE IF NOT EXISTS storefront.shop_naive_stock (
    id    uuid   PRIMARY KEY,
    stock bigint NOT NULL
);

-- The names of products in other languages than English.
CREATE TABLE IF NOT EXISTS storefront.shop_product_names (
    sku      text NOT NULL,
    language text NOT NULL,
    name     text NOT NULL,
    PRIMARY KEY (sku, language)
);
