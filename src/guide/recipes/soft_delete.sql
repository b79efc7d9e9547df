CREATE SCHEMA crm;

CREATE TABLE crm.customers (
    id         bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    email      text   NOT NULL,
    name       text   NOT NULL,
    deleted_at timestamptz,
    version    bigint NOT NULL DEFAULT 1 CHECK (version >= 1)
);

-- The email of a deleted customer may be used again.
CREATE UNIQUE INDEX customers_email ON crm.customers (email) WHERE deleted_at IS NULL;
