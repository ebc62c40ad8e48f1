SELECT counters.name, datname::text AS label, counters.value::float8 AS value
  FROM pg_stat_database
 CROSS JOIN LATERAL (VALUES ('health_postgres_commits_total', xact_commit),
                            ('health_postgres_rollbacks_total', xact_rollback),
                            ('health_postgres_deadlocks_total', deadlocks)) AS counters (name, value)
 WHERE datname = current_database()
UNION ALL
SELECT 'health_postgres_xid_age', NULL, max(age(datfrozenxid))
  FROM pg_database
