use crate::app::TestApp;
use crate::servers::{Rabbitmq, Vhost};

const BROKER: &[(&str, &str)] = &[("check", "broker")];

/// The exporter with one check `broker` of this virtual host, whose section gets `more` keys.
fn watch(vhost: &Vhost, more: &str) -> TestApp {
    let Vhost { name, user, password, port } = vhost;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), format!("{password}\n")).unwrap();
    let config = format!(
        "checks:\n  - name: broker\n    interval: 500ms\n    retry_interval: 200ms\n    \
         rabbitmq:\n      url: amqp://{user}@127.0.0.1:{port}/{name}\n      \
         password_file: password\n      {more}\n"
    );
    std::fs::write(folder.path().join("health.yml"), config).unwrap();
    TestApp::start_in(folder, &["--config", "health.yml"])
}

fn declare_queue(broker: &Rabbitmq, vhost: &Vhost, queue: &str) {
    let Vhost { name, user, .. } = vhost;
    broker.evaluate(&format!(
        r#"Q = rabbit_misc:r(<<"{name}">>, queue, <<"{queue}">>),
        {{new, _}} = rabbit_amqqueue:declare(Q, true, false, [], none, <<"{user}">>)"#
    ));
}

fn publish(broker: &Rabbitmq, vhost: &Vhost, queue: &str, count: u32) {
    let Vhost { name, .. } = vhost;
    broker.evaluate(&format!(
        r#"{{ok, X}} = rabbit_exchange:lookup(rabbit_misc:r(<<"{name}">>, exchange, <<>>)),
        [rabbit_basic:publish(X, <<"{queue}">>, [], <<"x">>) || _ <- lists:seq(1, {count})]"#
    ));
}

#[test]
fn queues_are_counted_and_a_message_makes_the_round_trip() {
    let Some(broker) = Rabbitmq::shared() else { return };
    let vhost = broker.create_vhost();
    declare_queue(broker, &vhost, "orders");
    let app = watch(&vhost, "queues: [{name: orders}]");
    let view = app.wait_for("broker", "healthy");
    assert_eq!(view["details"]["orders.messages_ready"], 0.0);
    let scrape = app.scrape();
    let orders = [("vhost", &*vhost.name), ("queue", "orders")];
    assert_eq!(scrape.value("health_queue_messages_ready", &orders), Some(0.0));
    assert_eq!(scrape.value("health_queue_consumers", &orders), Some(0.0));
    assert_eq!(scrape.value("health_rabbitmq_blocked", BROKER), Some(0.0));
    assert_eq!(scrape.value("health_queue_messages_ready_threshold", &orders), None, "no limits");
    for phase in ["query", "round_trip"] {
        let phase = [("check", "broker"), ("phase", phase)];
        assert!(scrape.value("health_check_phase_duration_seconds", &phase).is_some());
    }
}

#[test]
fn runs_share_one_connection_and_one_queue() {
    let Some(broker) = Rabbitmq::shared() else { return };
    let vhost = broker.create_vhost();
    let app = watch(&vhost, "");
    app.wait_for("broker", "healthy");
    let name = &vhost.name;
    let connections =
        || broker.evaluate(&format!(r#"rabbit_connection_tracking:list(<<"{name}">>)"#));
    let queues = || broker.evaluate(&format!(r#"rabbit_amqqueue:list_names(<<"{name}">>)"#));
    let (connection, queue) = (connections(), queues());
    app.wait_for_runs("broker", 3);
    assert_eq!((connections(), queues()), (connection.clone(), queue));
    assert_eq!(connection.matches("tracked_connection").count(), 1, "{connection}");
}

#[test]
fn a_wrong_password_is_error_auth_and_a_missing_vhost_error_config() {
    let Some(broker) = Rabbitmq::shared() else { return };
    let vhost = broker.create_vhost();
    let wrong = Vhost { password: "wrong".to_owned(), ..broker.create_vhost() };
    let app = watch(&wrong, "");
    let view = app.wait_for("broker", "error");
    assert_eq!(view["reason"], "auth");
    assert_eq!(view["error"], "the broker refused the user or the password");
    let missing = Vhost { name: "nowhere".to_owned(), ..vhost };
    let app = watch(&missing, "");
    let view = app.wait_for("broker", "error");
    assert_eq!(view["reason"], "config");
    assert_eq!(view["error"], "the virtual host does not exist");
}

#[test]
fn a_queue_that_fills_up_is_degraded_then_unhealthy() {
    let Some(broker) = Rabbitmq::shared() else { return };
    let vhost = broker.create_vhost();
    declare_queue(broker, &vhost, "orders");
    let limits = "queues: [{name: orders, messages_ready: {warning: 3, critical: 5}}]";
    let app = watch(&vhost, limits);
    app.wait_for("broker", "healthy");
    let critical = [("check", "broker"), ("queue", "orders"), ("level", "critical")];
    let threshold = app.scrape().value("health_queue_messages_ready_threshold", &critical);
    assert_eq!(threshold, Some(5.0));
    publish(broker, &vhost, "orders", 3);
    let view = app.wait_for("broker", "degraded");
    assert_eq!(view["error"], "messages ready in `orders` 3 at or above warning 3");
    publish(broker, &vhost, "orders", 2);
    let view = app.wait_for("broker", "unhealthy");
    assert_eq!(view["reason"], "threshold");
    assert_eq!(app.scrape().value("health_queue_messages_ready", BROKER), Some(5.0));
}

#[test]
fn a_missing_queue_is_unhealthy_and_the_others_are_counted_all_the_same() {
    let Some(broker) = Rabbitmq::shared() else { return };
    let vhost = broker.create_vhost();
    declare_queue(broker, &vhost, "orders");
    let app = watch(&vhost, "queues: [{name: missing}, {name: orders, consumers: {warning: 1}}]");
    let view = app.wait_for("broker", "unhealthy");
    assert_eq!(view["reason"], "assertion");
    assert_eq!(view["error"], "the queue `missing` does not exist");
    let scrape = app.scrape();
    assert_eq!(scrape.value("health_queue_consumers", &[("queue", "orders")]), Some(0.0));
    assert_eq!(scrape.value("health_queue_consumers", &[("queue", "missing")]), None);
    declare_queue(broker, &vhost, "missing");
    let view = app.wait_for("broker", "degraded");
    assert_eq!(view["error"], "consumers of `orders` 0 below warning 1");
    let noise = app.log().into_iter().find(|line| line["target"].as_str() == Some("lapin"));
    assert_eq!(noise, None, "the client has a log of its own");
}

#[test]
fn a_user_needs_no_more_rights_than_documented() {
    let Some(broker) = Rabbitmq::shared() else { return };
    let vhost = broker.create_vhost();
    declare_queue(broker, &vhost, "orders");
    let allow = |configure: &str, write: &str, read: &str| {
        let Vhost { name, user, .. } = &vhost;
        broker.evaluate(&format!(
            r#"rabbit_auth_backend_internal:set_permissions(<<"{user}">>, <<"{name}">>,
            <<"{configure}">>, <<"{write}">>, <<"{read}">>, <<"tests">>)"#
        ));
    };
    allow("^amq[.]gen-", "^amq[.]default$", "^(amq[.]gen-.*|orders)$");
    let app = watch(&vhost, "queues: [{name: orders}]");
    app.wait_for("broker", "healthy");
    allow("^$", "^$", "^orders$");
    let app = watch(&vhost, "queues: [{name: orders}]");
    let view = app.wait_for("broker", "error");
    assert_eq!(view["reason"], "auth");
    let counted = app.scrape().value("health_queue_messages_ready", BROKER);
    assert_eq!(counted, Some(0.0), "what was read before the failure stays");
    let app = watch(&vhost, "queues: [{name: orders}]\n      round_trip: false");
    app.wait_for("broker", "healthy");
}

#[test]
fn an_alarm_and_a_stop_are_seen_and_end_again() {
    let Some(broker) = Rabbitmq::dedicated() else { return };
    let vhost = broker.create_vhost();
    let app = watch(&vhost, "");
    app.wait_for("broker", "healthy");
    let allow_memory = |share: &str| {
        broker.evaluate(&format!("vm_memory_monitor:set_vm_memory_high_watermark({share})"));
    };

    allow_memory("0.0000001");
    let view = app.wait_for("broker", "unhealthy");
    assert_eq!(view["reason"], "alarm");
    assert_eq!(view["error"], "the broker blocks publishers: it is low on memory");
    assert_eq!(app.scrape().value("health_rabbitmq_blocked", BROKER), Some(1.0));
    let took = app.scrape().value("health_check_last_duration_seconds", BROKER).unwrap();
    assert!(took < 0.5, "it waited for the deadline: {took}");
    allow_memory("0.6");
    app.wait_for("broker", "healthy");

    broker.stop();
    let view = app.wait_for("broker", "error");
    assert_eq!(view["reason"], "connect");
    broker.start();
    app.wait_for("broker", "healthy");
    assert_eq!(
        app.transitions("broker"),
        [
            "healthy -> unhealthy (alarm)",
            "unhealthy -> healthy ()",
            "healthy -> error (connect)",
            "error -> healthy ()"
        ],
        "one line each way"
    );
}
