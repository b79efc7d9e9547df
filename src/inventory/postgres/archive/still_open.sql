-- Reads whether a movement is there that is no opening balance.
--
-- $1 SKU, $2 version.
SELECT EXISTS (
    SELECT FROM optilock.movements m
    WHERE m.sku = $1::text AND m.version = $2::bigint AND m.kind <> 15 /* opening */);
