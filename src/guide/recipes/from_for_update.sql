CREATE SCHEMA bank;

CREATE TABLE bank.wallets (
    id      bigint PRIMARY KEY,
    cents   bigint NOT NULL CHECK (cents >= 0),
    version bigint NOT NULL DEFAULT 1 CHECK (version >= 1)
);

-- While code that doesn't know the version writes the table: counts its writes.
CREATE FUNCTION bank.count_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END $$;

CREATE TRIGGER zz_count_version BEFORE UPDATE ON bank.wallets
    FOR EACH ROW WHEN (NEW.version <= OLD.version) EXECUTE FUNCTION bank.count_version();
