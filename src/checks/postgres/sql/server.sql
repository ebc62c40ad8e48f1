SELECT 'health_postgres_info' AS name, split_part(current_setting('server_version'), ' ', 1) AS label,
       1::float8 AS value
UNION ALL
SELECT 'health_postgres_in_recovery', NULL, pg_is_in_recovery()::int
UNION ALL
-- What our own role or session sets says nothing about the server.
SELECT 'health_postgres_read_only', NULL, count(*)
  FROM pg_settings
 WHERE name = 'default_transaction_read_only' AND setting = 'on'
   AND source NOT IN ('user', 'database user', 'client', 'session')
UNION ALL
SELECT 'health_postgres_start_time_seconds', NULL, extract(epoch FROM pg_postmaster_start_time())
UNION ALL
-- `reserved_connections` came with version 16.
SELECT 'health_postgres_max_connections', NULL,
       current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true)::int, 0)
UNION ALL
SELECT 'reads_all_statistics', NULL, pg_has_role('pg_read_all_stats', 'USAGE')::int
