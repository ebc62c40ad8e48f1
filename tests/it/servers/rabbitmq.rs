//! A private `RabbitMQ`.
//!
//! It runs without the Erlang port mapper `epmd`, a daemon that all Erlang programs of a machine
//! share and that stays when they end: the node listens on a port that its clients are told.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::guardian::{Guardian, NotUp, as_server_user, launch, shell_quoted};
use super::{find_program, free_port, random_token};

/// The data is not needed at the end, and an orderly shutdown takes seconds.
const LAST_SIGNAL: &str = "KILL";

const NODE: &str = "rabbit@localhost";

#[derive(Clone)]
struct Programs {
    server: PathBuf,
    control: PathBuf,
    erl_call: PathBuf,
}

/// A running server without plugins.
pub(crate) struct Rabbitmq {
    guardian: Guardian,
    programs: Programs,
    port: u16,
    node_port: u16,
}

/// A virtual host of one test, and the user who may do everything in it.
pub(crate) struct Vhost {
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) port: u16,
}

impl Rabbitmq {
    /// The server of all tests.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Rabbitmq, String>> = OnceLock::new();
        let programs = Programs::find()?;
        let server = SHARED.get_or_init(|| launch(|| Self::attempt(&programs)));
        Some(server.as_ref().unwrap_or_else(|failure| panic!("{failure}")))
    }

    /// A server of this test alone.
    pub(crate) fn dedicated() -> Option<Self> {
        let programs = Programs::find()?;
        Some(launch(|| Self::attempt(&programs)).unwrap_or_else(|failure| panic!("{failure}")))
    }

    fn attempt(programs: &Programs) -> Result<Self, NotUp> {
        let guardian = Guardian::new("rabbitmq", LAST_SIGNAL);
        let (port, node_port, password) = (free_port(), free_port(), random_token());
        let settings = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}
            default_pass = {password}
            disk_free_limit.absolute = 1MB"
        );
        guardian.write("rabbitmq.conf", &settings);
        guardian.write("enabled_plugins", "[].");
        guardian.write("run", &programs.script(node_port));
        let server = Self { guardian, programs: programs.clone(), port, node_port };
        server.guardian.start(|| server.is_ready())?;
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn create_vhost(&self) -> Vhost {
        let unique = random_token();
        let (name, user) = (format!("vhost_{unique}"), format!("user_{unique}"));
        let password = random_token();
        self.evaluate(&format!(
            r#"V = <<"{name}">>, U = <<"{user}">>, All = <<".*">>, By = <<"tests">>,
            ok = rabbit_vhost:add(V, By),
            ok = rabbit_auth_backend_internal:add_user(U, <<"{password}">>, By),
            ok = rabbit_auth_backend_internal:set_permissions(U, V, All, All, All, By)"#
        ));
        Vhost { name, user, password, port: self.port }
    }

    /// The value of an Erlang expression in the server; a hundred times as fast as `rabbitmqctl`.
    pub(crate) fn evaluate(&self, expression: &str) -> String {
        let output = self.erl_call(expression);
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match answer.strip_prefix("{ok, ").and_then(|rest| rest.strip_suffix('}')) {
            Some(value) => value.to_owned(),
            None => panic!("{expression} in RabbitMQ: {answer} {}", stderr(&output)),
        }
    }

    pub(crate) fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.programs.control);
        command.arg("--quiet").args(arguments).current_dir(self.guardian.folder());
        let port = self.node_port;
        command
            .env("HOME", self.guardian.folder()) // has the node's cookie
            .env("RABBITMQ_NODENAME", NODE)
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("ERL_FLAGS", format!("-start_epmd false -erl_epmd_port {port} -dist_listen false"))
            .stdin(Stdio::null());
        let output = as_server_user(&mut command).output().unwrap();
        assert!(output.status.success(), "rabbitmqctl {arguments:?}: {}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(super) fn folder(&self) -> &Path {
        self.guardian.folder()
    }

    /// Ends all connections and the server; the data stays.
    pub(crate) fn stop(&self) {
        self.guardian.stop("TERM");
    }

    /// Starts a stopped server again, on the same port and data.
    pub(crate) fn start(&self) {
        self.guardian.restart(|| self.is_ready());
    }

    fn is_ready(&self) -> bool {
        // Nobody else's node accepts the cookie.
        self.cookie().is_file()
            && self.erl_call("rabbit_boot_state:get()").stdout.starts_with(b"{ok, ready}")
    }

    fn cookie(&self) -> PathBuf {
        self.guardian.folder().join(".erlang.cookie")
    }

    fn erl_call(&self, expression: &str) -> Output {
        let mut command = Command::new(&self.programs.erl_call);
        let address = format!("127.0.0.1:{}", self.node_port);
        // Its own random names are the same within a second, and the node talks to each name once.
        let name = format!("test{}", random_token());
        command.args(["-h", &name, "-address", &address, "-e"]);
        command.env("HOME", self.guardian.folder()).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = as_server_user(&mut command).spawn().unwrap();
        // It ends without reading when the node is not up.
        let _ = writeln!(process.stdin.take().unwrap(), "{expression}.");
        process.wait_with_output().unwrap()
    }
}

impl Vhost {
    pub(crate) fn url(&self) -> String {
        let Self { name, user, password, port } = self;
        format!("amqp://{user}:{password}@127.0.0.1:{port}/{name}")
    }
}

impl Programs {
    fn find() -> Option<Self> {
        // Debian's programs of the same names on the PATH change to the user rabbitmq.
        let folders = ["/usr/lib/rabbitmq/bin".into()];
        let server = find_program("rabbitmq-server", &folders)?;
        let control = find_program("rabbitmqctl", &folders)?;
        Some(Self { server, control, erl_call: find_program("erl_call", &[])? })
    }

    fn script(&self, node_port: u16) -> String {
        let server = shell_quoted(&self.server.to_string_lossy());
        // A node that has its name before RabbitMQ starts does not make RabbitMQ start epmd.
        format!(
            "export HOME=\"$PWD\"
            export RABBITMQ_NODENAME={NODE}
            export RABBITMQ_CONF_ENV_FILE=/dev/null
            export RABBITMQ_CONFIG_FILE=\"$PWD/rabbitmq\"
            export RABBITMQ_ENABLED_PLUGINS_FILE=\"$PWD/enabled_plugins\"
            export RABBITMQ_MNESIA_BASE=\"$PWD\" RABBITMQ_LOG_BASE=\"$PWD\" RABBITMQ_LOGS=-
            export ERL_FLAGS='-start_epmd false -erl_epmd_port {node_port}'
            export ERL_CRASH_DUMP_SECONDS=0
            loopback='-kernel inet_dist_use_interface {{127,0,0,1}}'
            export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=\"-sname {NODE} $loopback\"
            exec {server}"
        )
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}
