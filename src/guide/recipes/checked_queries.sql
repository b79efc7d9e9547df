CREATE SCHEMA shop;

CREATE TABLE shop.seats (
    id      bigint PRIMARY KEY,
    guest   text,
    version bigint NOT NULL DEFAULT 1 CHECK (version >= 1)
);

CREATE VIEW shop.free_seats AS SELECT id, version FROM shop.seats WHERE guest IS NULL;
