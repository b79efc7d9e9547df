CREATE SCHEMA fleet;

CREATE TABLE fleet.vehicles (
    id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    plate    text   NOT NULL,
    status   text   NOT NULL DEFAULT 'active',
    mileage  bigint NOT NULL DEFAULT 0,
    version  bigint NOT NULL DEFAULT 1 CHECK (version >= 1)
);

-- Refuses a write that does not count the version.
CREATE FUNCTION fleet.check_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % does not increase its version, %', TG_OP, TG_TABLE_NAME, OLD.version
        USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER zz_check_version BEFORE UPDATE ON fleet.vehicles
    FOR EACH ROW WHEN (NEW.version <= OLD.version) EXECUTE FUNCTION fleet.check_version();
