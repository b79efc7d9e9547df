CREATE TABLE shelves (
    sku   text PRIMARY KEY REFERENCES optilock.products (sku),
    shelf text NOT NULL
);
