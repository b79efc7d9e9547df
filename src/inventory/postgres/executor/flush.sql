-- Writes a record that changes nothing: its commit waits for the synchronous standby, and so for all commits before it.
SELECT pg_catalog.pg_logical_emit_message(true, 'optilock'::text, ''::text);
