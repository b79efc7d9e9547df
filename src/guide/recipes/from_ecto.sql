CREATE SCHEMA shop;

-- What `add :lock_version, :integer, default: 1` makes. Ecto allows NULL unless `null: false` is given.
CREATE TABLE shop.accounts (
    id           bigserial PRIMARY KEY,
    owner        character varying(255) NOT NULL,
    cents        bigint NOT NULL DEFAULT 0,
    lock_version integer DEFAULT 1,
    inserted_at  timestamp(0) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    updated_at   timestamp(0) without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'utc')
);

-- A version must not be NULL: no version is equal to it.
UPDATE shop.accounts SET lock_version = 1 WHERE lock_version IS NULL;
ALTER TABLE shop.accounts ALTER COLUMN lock_version SET NOT NULL;
