//! Tests of the private servers themselves.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error, NoTls};

use super::pgbouncer::Pgbouncer;
use super::postgres::Postgres;
use super::rabbitmq::Rabbitmq;
use super::redis::Redis;

const HOLD_SERVERS: &str = "HEALTH_EXPORTER_HOLD_SERVERS";
const CLEANUP_LIMIT: Duration = Duration::from_secs(20);

async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

#[tokio::test]
async fn databases_of_one_postgres_are_apart() {
    let Some(postgres) = Postgres::shared() else { return };
    let (first, second) = (postgres.create_database(), postgres.create_database());
    let first_client = connect(&first.url()).await.unwrap();
    first_client.batch_execute("CREATE TABLE only_in_first (id int)").await.unwrap();
    let second_client = connect(&second.url()).await.unwrap();
    assert!(second_client.batch_execute("SELECT * FROM only_in_first").await.is_err());
    assert!(postgres.socket_dir().join(format!(".s.PGSQL.{}", postgres.port())).exists());
}

#[tokio::test]
async fn stopped_postgres_starts_again_with_its_data() {
    let Some(postgres) = Postgres::dedicated() else { return };
    let database = postgres.create_database();
    let client = connect(&database.url()).await.unwrap();
    client.batch_execute("CREATE TABLE kept (id int)").await.unwrap();
    postgres.stop();
    assert!(connect(&database.url()).await.is_err());
    postgres.start();
    let client = connect(&database.url()).await.unwrap();
    client.batch_execute("SELECT * FROM kept").await.unwrap();
}

#[tokio::test]
async fn pgbouncer_passes_on_to_the_database() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.create_database();
    let Some(pgbouncer) = Pgbouncer::in_front_of(&database, "transaction") else { return };
    let client = connect(pgbouncer.url()).await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
}

#[test]
fn redis_answers() {
    let Some(redis) = Redis::shared() else { return };
    assert_eq!(redis.command(&["SET", "answers", "two words"]), "OK");
    assert_eq!(redis.command(&["GET", "answers"]), "two words");
    assert_eq!(redis.url(), format!("redis://:{}@127.0.0.1:{}/0", redis.password, redis.port));
}

#[test]
fn stopped_redis_starts_again_with_its_data() {
    let Some(redis) = Redis::dedicated() else { return };
    redis.command(&["SET", "kept", "yes"]);
    redis.stop();
    assert_eq!(redis.command(&["GET", "kept"]), "");
    redis.start();
    assert_eq!(redis.command(&["GET", "kept"]), "yes");
}

#[test]
fn redis_takes_settings() {
    let Some(redis) = Redis::with_arguments(&["--maxmemory", "5mb"]) else { return };
    assert_eq!(redis.command(&["CONFIG", "GET", "maxmemory"]), "maxmemory\n5242880");
}

#[test]
fn rabbitmq_has_a_user_of_its_own_for_each_vhost() {
    let Some(rabbitmq) = Rabbitmq::shared() else { return };
    let (first, second) = (rabbitmq.create_vhost(), rabbitmq.create_vhost());
    let url = format!(
        "amqp://{}:{}@127.0.0.1:{}/{}",
        first.user,
        first.password,
        rabbitmq.port(),
        first.name
    );
    assert_eq!(first.url(), url);
    let permissions = rabbitmq.rabbitmqctl(&["list_permissions", "--vhost", &first.name]);
    assert!(permissions.contains(&first.user), "{permissions}");
    assert!(!permissions.contains(&second.user), "{permissions}");
}

#[test]
fn rabbitmq_raises_an_alarm_and_starts_again() {
    let Some(rabbitmq) = Rabbitmq::dedicated() else { return };
    let vhost = rabbitmq.create_vhost();
    rabbitmq.rabbitmqctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    assert!(rabbitmq.evaluate("rabbit_alarm:get_alarms()").contains("memory"));
    rabbitmq.rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]);
    assert_eq!(rabbitmq.evaluate("rabbit_alarm:get_alarms()"), "[]");
    rabbitmq.stop();
    rabbitmq.start();
    assert!(rabbitmq.rabbitmqctl(&["list_vhosts"]).contains(&vhost.name));
}

/// The process that the next test kills.
#[test]
fn held_servers() {
    if std::env::var_os(HOLD_SERVERS).is_none() {
        return;
    }
    let parent = thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1); // the parent is gone
    });
    let (Some(redis), Some(rabbitmq), Some(postgres)) =
        (Redis::shared(), Rabbitmq::shared(), Postgres::dedicated())
    else {
        return;
    };
    for folder in [redis.folder(), rabbitmq.folder(), postgres.socket_dir()] {
        println!("\nholds {}", folder.display());
    }
    println!("\nready");
    parent.join().unwrap();
}

#[test]
fn nothing_is_left_of_a_killed_process() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers::tests::held_servers", "--nocapture"])
        .env(HOLD_SERVERS, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| line != "ready").collect();
    let folder_of = |line: &String| line.strip_prefix("holds ").map(PathBuf::from);
    let folders: Vec<PathBuf> = lines.iter().filter_map(folder_of).collect();
    if folders.is_empty() {
        assert!(holder.wait().unwrap().success(), "the holder of the servers failed: {lines:?}");
        return; // it has said which program is missing
    }
    let names: Vec<String> = folders.iter().flat_map(|folder| processes_of(folder)).collect();
    for program in ["redis-server", "beam.smp", "postgres"] {
        assert!(names.iter().any(|name| name == program), "{program} is not among {names:?}");
    }
    assert!(names.iter().all(|name| name != "epmd"), "{names:?}");

    holder.kill().unwrap();
    holder.wait().unwrap();

    let deadline = Instant::now() + CLEANUP_LIMIT;
    for folder in &folders {
        loop {
            let left = processes_of(folder);
            if left.is_empty() && !folder.exists() {
                break;
            }
            assert!(Instant::now() < deadline, "left of {}: {left:?}", folder.display());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The names of the processes that were started for the folder or work in it.
fn processes_of(folder: &Path) -> Vec<String> {
    let mark = format!("SERVER_FOLDER={}", folder.display());
    let belongs = |process: &Path| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        // PostgreSQL overwrites its environment with its title, but works in the folder.
        variables.any(|variable| variable == mark.as_bytes())
            || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let names = processes.filter(|process| belongs(process)).map(|process| {
        fs::read_to_string(process.join("comm")).unwrap_or_default().trim_end().to_owned()
    });
    names.collect()
}
