CREATE SCHEMA shop;

-- What Hibernate makes of `@GeneratedValue(strategy = SEQUENCE)` and `@Version private int version`.
CREATE SEQUENCE shop.accounts_seq START WITH 1 INCREMENT BY 50;

CREATE TABLE shop.accounts (
    id      bigint  NOT NULL PRIMARY KEY,
    owner   varchar(255) NOT NULL,
    cents   bigint  NOT NULL,
    version integer NOT NULL
);

-- Hibernate draws ids in its own memory. For inserts of others, one number of the sequence is a block of 50 ids, of
-- which they use one.
ALTER TABLE shop.accounts
    ALTER COLUMN id SET DEFAULT nextval('shop.accounts_seq'),
    ALTER COLUMN version SET DEFAULT 0;
