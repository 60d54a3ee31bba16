#!/bin/sh
# Makes the roles and databases on the server or the servers. Safe to run again.
set -eu
export PGPASSWORD="$(cat /run/secrets/superuser)" PGUSER=postgres PGDATABASE=postgres
case "${DATABASE_SERVERS:-one}" in
    one) servers=postgres ;;
    each) servers='booking-db payment-db refund-db notification-db' ;;
    *) echo "DATABASE_SERVERS is neither one nor each." >&2; exit 78 ;;
esac
for server in $servers; do
    # psql reads one file: the passwords are set, then the script uses them.
    psql -X -q -h "$server" -v ON_ERROR_STOP=1 -f /run/secrets/passwords.sql -f /provision.sql
done
