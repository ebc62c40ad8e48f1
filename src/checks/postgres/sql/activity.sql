-- Without rights, state and kind of foreign sessions are null, but not their database.
SELECT 'health_postgres_connections' AS name, states.state AS label,
       count(sessions.state)::float8 AS value
  FROM (VALUES ('active'), ('idle'), ('idle_in_transaction'), ('idle_in_transaction_aborted'),
               ('other')) AS states (state)
  LEFT JOIN (
       SELECT CASE state
                WHEN 'active' THEN 'active'
                WHEN 'idle' THEN 'idle'
                WHEN 'idle in transaction' THEN 'idle_in_transaction'
                WHEN 'idle in transaction (aborted)' THEN 'idle_in_transaction_aborted'
                ELSE 'other'
              END AS state
         FROM pg_stat_activity
        WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)
       ) AS sessions USING (state)
 GROUP BY states.state
UNION ALL
SELECT 'health_postgres_longest_transaction_seconds', NULL,
       greatest(coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0), 0)
  FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
HAVING pg_has_role('pg_read_all_stats', 'USAGE')
