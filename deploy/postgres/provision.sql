-- Roles and databases of the four services. Safe to run again: passwords are set anew, what exists stays.
--
--   psql -v booking_owner_password=... -v booking_password=... -v booking_verify_password=... (and so on) -f provision.sql
--
-- <service>_owner   owns the schema and runs the migrations
-- <service>         the running service: reads and writes rows, no DDL; a migration takes away what an append-only table must not allow
-- <service>_verify  reads, for `boxoffice verify`
-- ops/privileges.py has the whole of it; tests/deploy/privileges compares and tries it.
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', service || suffix)
FROM unnest(ARRAY['booking', 'payment', 'refund', 'notification']) service, unnest(ARRAY['_owner', '', '_verify']) suffix
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service || suffix)
\gexec

ALTER ROLE booking_owner PASSWORD :'booking_owner_password';
ALTER ROLE booking PASSWORD :'booking_password';
ALTER ROLE booking_verify PASSWORD :'booking_verify_password';
ALTER ROLE payment_owner PASSWORD :'payment_owner_password';
ALTER ROLE payment PASSWORD :'payment_password';
ALTER ROLE payment_verify PASSWORD :'payment_verify_password';
ALTER ROLE refund_owner PASSWORD :'refund_owner_password';
ALTER ROLE refund PASSWORD :'refund_password';
ALTER ROLE refund_verify PASSWORD :'refund_verify_password';
ALTER ROLE notification_owner PASSWORD :'notification_owner_password';
ALTER ROLE notification PASSWORD :'notification_password';
ALTER ROLE notification_verify PASSWORD :'notification_verify_password';

-- A reader stays a reader even where a grant slips in by mistake.
SELECT format('ALTER ROLE %I SET default_transaction_read_only = on', service || '_verify')
FROM unnest(ARRAY['booking', 'payment', 'refund', 'notification']) service
\gexec

SELECT format('CREATE DATABASE %I OWNER %I', service, service || '_owner')
FROM unnest(ARRAY['booking', 'payment', 'refund', 'notification']) service
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = service)
\gexec

-- Only its own roles enter a database.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', service)
FROM unnest(ARRAY['booking', 'payment', 'refund', 'notification']) service
\gexec
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
SELECT format('GRANT CONNECT ON DATABASE %I TO %I, %I, %I', service, service || '_owner', service, service || '_verify')
FROM unnest(ARRAY['booking', 'payment', 'refund', 'notification']) service
\gexec

-- What the owner makes, the service may use and the verifier may read.
\connect booking
ALTER SCHEMA public OWNER TO booking_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO booking, booking_verify;
ALTER DEFAULT PRIVILEGES FOR ROLE booking_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO booking;
ALTER DEFAULT PRIVILEGES FOR ROLE booking_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO booking;
ALTER DEFAULT PRIVILEGES FOR ROLE booking_owner IN SCHEMA public GRANT SELECT ON TABLES TO booking_verify;
ALTER DEFAULT PRIVILEGES FOR ROLE booking_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO booking;
ALTER DEFAULT PRIVILEGES FOR ROLE booking_owner GRANT USAGE ON SEQUENCES TO booking;
ALTER DEFAULT PRIVILEGES FOR ROLE booking_owner GRANT SELECT ON TABLES TO booking_verify;
\connect payment
ALTER SCHEMA public OWNER TO payment_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO payment, payment_verify;
ALTER DEFAULT PRIVILEGES FOR ROLE payment_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO payment;
ALTER DEFAULT PRIVILEGES FOR ROLE payment_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO payment;
ALTER DEFAULT PRIVILEGES FOR ROLE payment_owner IN SCHEMA public GRANT SELECT ON TABLES TO payment_verify;
ALTER DEFAULT PRIVILEGES FOR ROLE payment_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO payment;
ALTER DEFAULT PRIVILEGES FOR ROLE payment_owner GRANT USAGE ON SEQUENCES TO payment;
ALTER DEFAULT PRIVILEGES FOR ROLE payment_owner GRANT SELECT ON TABLES TO payment_verify;
\connect refund
ALTER SCHEMA public OWNER TO refund_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO refund, refund_verify;
ALTER DEFAULT PRIVILEGES FOR ROLE refund_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO refund;
ALTER DEFAULT PRIVILEGES FOR ROLE refund_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO refund;
ALTER DEFAULT PRIVILEGES FOR ROLE refund_owner IN SCHEMA public GRANT SELECT ON TABLES TO refund_verify;
ALTER DEFAULT PRIVILEGES FOR ROLE refund_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO refund;
ALTER DEFAULT PRIVILEGES FOR ROLE refund_owner GRANT USAGE ON SEQUENCES TO refund;
ALTER DEFAULT PRIVILEGES FOR ROLE refund_owner GRANT SELECT ON TABLES TO refund_verify;
\connect notification
ALTER SCHEMA public OWNER TO notification_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO notification, notification_verify;
ALTER DEFAULT PRIVILEGES FOR ROLE notification_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO notification;
ALTER DEFAULT PRIVILEGES FOR ROLE notification_owner IN SCHEMA public GRANT USAGE ON SEQUENCES TO notification;
ALTER DEFAULT PRIVILEGES FOR ROLE notification_owner IN SCHEMA public GRANT SELECT ON TABLES TO notification_verify;
ALTER DEFAULT PRIVILEGES FOR ROLE notification_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO notification;
ALTER DEFAULT PRIVILEGES FOR ROLE notification_owner GRANT USAGE ON SEQUENCES TO notification;
ALTER DEFAULT PRIVILEGES FOR ROLE notification_owner GRANT SELECT ON TABLES TO notification_verify;
