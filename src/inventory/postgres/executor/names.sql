-- The standbys that commits wait for. Empty or NULL if they wait for none, or if this server is a standby itself.
SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.current_setting('synchronous_standby_names', true) END AS names;
