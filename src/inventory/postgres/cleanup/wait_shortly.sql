-- Limits each wait for a lock to 50 ms for the rest of the transaction.
SELECT pg_catalog.set_config('lock_timeout', '50ms', true);
