SELECT 'health_postgres_database_size_bytes' AS name, current_database()::text AS label,
       pg_database_size(current_database())::float8 AS value
