-- What the servers that stream from this one report; base backups and log archivers replay nothing.
SELECT lags.name, replicas.replica AS label, lags.value::float8 AS value
  FROM (SELECT CASE WHEN application_name IN ('', 'walreceiver', 'self')
                    THEN coalesce(host(client_addr), 'local')
                    ELSE application_name
               END AS replica,
               greatest(max(pg_wal_lsn_diff(here.lsn, replay_lsn)), 0) AS bytes,
               max(CASE WHEN replay_lsn >= here.lsn THEN 0 ELSE extract(epoch FROM replay_lag) END)
                 AS seconds
          FROM pg_stat_replication
         CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                 ELSE pg_current_wal_lsn() END AS lsn) AS here
         WHERE replay_lsn IS NOT NULL
         GROUP BY replica
         ORDER BY bytes DESC
         LIMIT 64) AS replicas
 CROSS JOIN LATERAL (VALUES ('health_postgres_replication_lag_bytes', bytes),
                            ('health_postgres_replication_lag_seconds', seconds)) AS lags (name, value)
UNION ALL
-- The lag of this server itself. An idle primary sends nothing, so the age of the last transaction
-- counts only when something received waits to be replayed, or when nothing can be received.
SELECT 'health_postgres_replication_lag_seconds', 'self',
       CASE WHEN up_to_date OR age < 0 THEN 0 ELSE age END
  FROM (SELECT pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()
               AND EXISTS (SELECT FROM pg_stat_wal_receiver) AS up_to_date,
               extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) AS age) AS own
 WHERE pg_is_in_recovery()
UNION ALL
SELECT 'receives', NULL, count(*)
  FROM pg_stat_wal_receiver
HAVING pg_is_in_recovery()
UNION ALL
SELECT states.name, slot_name::text, states.value::float8
  FROM (SELECT * FROM pg_replication_slots ORDER BY slot_name LIMIT 64) AS slots
 CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                         ELSE pg_current_wal_lsn() END AS lsn) AS here
 CROSS JOIN LATERAL (VALUES ('health_postgres_replication_slot_active', active::int::numeric),
                            ('health_postgres_replication_slot_retained_bytes',
                             pg_wal_lsn_diff(here.lsn, restart_lsn))) AS states (name, value)
