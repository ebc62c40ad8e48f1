SELECT 'health_postgres_locks_waiting' AS name, NULL::text AS label, count(*)::float8 AS value
  FROM pg_locks
 WHERE NOT granted
