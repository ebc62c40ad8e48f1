use crate::app::TestApp;

const RUNTIME: &str = "checks: [{name: loop, interval: 200ms, tags: [own], runtime: {}}]";

#[test]
fn a_check_of_the_configuration_reaches_metrics_and_health() {
    let app = TestApp::start(RUNTIME);
    let view = app.wait_for("loop", "healthy");
    assert_eq!(view["kind"], "runtime");
    assert_eq!(app.scrape().value("health_check_up", &[("check", "loop")]), Some(1.0));
    let health = app.get("/health");
    assert_eq!((health.status, &health.json()["status"]), (200, &"healthy".into()));
}
