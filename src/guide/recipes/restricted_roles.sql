-- As a superuser or an administrator, in the database of the shop. Give each role a password by \password.
CREATE ROLE shop_owner LOGIN;
CREATE ROLE shop_app LOGIN;
CREATE ROLE shop_sales LOGIN;
CREATE ROLE shop_reports LOGIN;

CREATE SCHEMA optilock AUTHORIZATION shop_owner;
CREATE SCHEMA crm AUTHORIZATION shop_owner;

GRANT USAGE ON SCHEMA optilock TO shop_app, shop_sales, shop_reports;
GRANT USAGE ON SCHEMA crm TO shop_app, shop_reports;

-- Tables that shop_owner creates from now on, those of later versions included.
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA optilock
    GRANT SELECT ON TABLES TO shop_app, shop_sales, shop_reports;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA crm
    GRANT SELECT ON TABLES TO shop_app, shop_reports;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA optilock, crm
    GRANT INSERT, UPDATE, DELETE ON TABLES TO shop_app;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA crm
    GRANT USAGE ON SEQUENCES TO shop_app;

-- After the first migration, as shop_owner.
REVOKE INSERT, UPDATE, DELETE ON optilock._sqlx_migrations FROM shop_app;

GRANT UPDATE (stock, reserved, version, updated_at) ON optilock.products TO shop_sales;
GRANT INSERT, UPDATE ON optilock.orders, optilock.order_lines, optilock.reservations, optilock.holds TO shop_sales;
GRANT INSERT ON optilock.movements, optilock.outbox TO shop_sales;
GRANT INSERT, DELETE ON optilock.unfinished_sales TO shop_sales;
