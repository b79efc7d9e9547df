-- Reads whether the adjustment with a token was archived.
--
-- $1 token.
SELECT EXISTS (SELECT FROM optilock.archived_tokens t WHERE t.token = $1::uuid);
