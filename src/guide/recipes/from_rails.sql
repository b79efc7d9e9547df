CREATE SCHEMA shop;

-- What `create_table` makes of `t.integer :lock_version, null: false, default: 0`.
CREATE TABLE shop.accounts (
    id           bigserial PRIMARY KEY,
    owner        character varying NOT NULL,
    cents        bigint NOT NULL DEFAULT 0,
    lock_version integer NOT NULL DEFAULT 0,
    created_at   timestamp(6) without time zone NOT NULL,
    updated_at   timestamp(6) without time zone NOT NULL
);

-- Rails sends both timestamps itself. Other writers need defaults.
ALTER TABLE shop.accounts
    ALTER COLUMN created_at SET DEFAULT (now() AT TIME ZONE 'utc'),
    ALTER COLUMN updated_at SET DEFAULT (now() AT TIME ZONE 'utc');
