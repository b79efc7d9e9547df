CREATE SCHEMA saas;

-- The tenant of the transaction; NULL outside of one.
CREATE FUNCTION saas.tenant() RETURNS bigint LANGUAGE sql STABLE
    RETURN nullif(current_setting('saas.tenant', true), '')::bigint;

CREATE TABLE saas.projects (
    tenant  bigint NOT NULL DEFAULT saas.tenant(),
    id      bigint GENERATED ALWAYS AS IDENTITY,
    name    text   NOT NULL,
    version bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    PRIMARY KEY (tenant, id),
    UNIQUE (id)
);

CREATE TABLE saas.tasks (
    tenant  bigint NOT NULL DEFAULT saas.tenant(),
    id      bigint GENERATED ALWAYS AS IDENTITY,
    project bigint NOT NULL,
    title   text   NOT NULL,
    version bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    PRIMARY KEY (tenant, id),
    UNIQUE (id),
    -- A foreign key sees the rows of all tenants: with the tenant in it, it can't name another one's row.
    FOREIGN KEY (tenant, project) REFERENCES saas.projects (tenant, id)
);

ALTER TABLE saas.projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE saas.projects FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON saas.projects USING (tenant = (SELECT saas.tenant()));

ALTER TABLE saas.tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE saas.tasks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON saas.tasks USING (tenant = (SELECT saas.tenant()));
