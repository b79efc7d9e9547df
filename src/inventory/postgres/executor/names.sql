-- The standbys that commits wait for. Empty or NULL if they wait for none.
SELECT pg_catalog.current_setting('synchronous_standby_names', true) AS names;
