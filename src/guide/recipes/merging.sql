CREATE SCHEMA shop;

CREATE TABLE shop.contacts (
    id      bigint PRIMARY KEY,
    name    text   NOT NULL,
    phone   text,
    street  text   NOT NULL,
    city    text   NOT NULL,
    version bigint NOT NULL DEFAULT 1 CHECK (version >= 1)
);
