CREATE SCHEMA shop;

CREATE TABLE shop.articles (
    id         bigint PRIMARY KEY,
    title      text   NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_by text   NOT NULL,
    version    bigint NOT NULL DEFAULT 1 CHECK (version >= 1)
);

-- What each write has left, the first one included.
CREATE TABLE shop.article_history (
    id         bigint NOT NULL,
    version    bigint NOT NULL,
    title      text   NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text   NOT NULL,
    PRIMARY KEY (id, version)
);
