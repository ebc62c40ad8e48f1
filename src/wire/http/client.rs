//! Clients: made once for equal settings, shared by every check that has them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use reqwest::Url;
use rustls::client::Resumption;

use super::hooks::{Connected, Dialler, Judge, NoSessions, RecordingVerifier};
use crate::{
    secret::Secret,
    wire::{
        Wire,
        tls::{TlsMaterial, TlsProblem},
    },
};

/// All that makes one client differ from another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClientSettings {
    /// The contents of certificate files, not their names; the server name belongs to the route.
    pub tls: TlsMaterial,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
    /// Whether HTTP/2 is out of the question.
    pub http1_only: bool,
}

/// An HTTP proxy and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// Where it is, `http`.
    pub url: Url,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
}

/// A client that opens a new connection for each request. Cloning is cheap.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    reqwest: reqwest::Client,
    proxy: Option<Url>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    pub(super) fn reqwest(&self) -> &reqwest::Client {
        &self.0.reqwest
    }

    pub(super) fn proxy_url(&self) -> Option<&Url> {
        self.0.proxy.as_ref()
    }
}

/// The clients in use; one that no check holds any longer is gone.
#[derive(Debug, Default)]
pub(in crate::wire) struct Clients(Mutex<HashMap<ClientSettings, Weak<Shared>>>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Wire {
    /// The client of these settings, a new one if there is none yet.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn http_client(self: &Arc<Self>, settings: ClientSettings) -> Result<Client, TlsProblem> {
        let mut clients = self.http_clients.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&settings).and_then(Weak::upgrade) {
            return Ok(Client(client));
        }
        let client = Arc::new(self.new_http_client(&settings)?);
        clients.retain(|_, client| client.strong_count() > 0);
        clients.insert(settings, Arc::downgrade(&client));
        Ok(Client(client))
    }

    fn new_http_client(self: &Arc<Self>, settings: &ClientSettings) -> Result<Shared, TlsProblem> {
        let unusable = |_| TlsProblem { key: "tls", message: "cannot be used".to_owned() };
        let judge = if settings.tls.ca.is_some() {
            let strict = TlsMaterial { insecure: false, ..settings.tls.clone() };
            Judge::Given(self.verifier(&strict)?)
        } else {
            Judge::Machine(self.clone(), OnceLock::new())
        };
        let verifier = RecordingVerifier::new(judge, settings.tls.insecure);
        let mut config = self.client_config(&settings.tls, Arc::new(verifier))?;
        config.resumption = Resumption::store(Arc::new(NoSessions));
        if !settings.http1_only {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());

        // Every default that would do something behind our back is named here: the library panics
        // without a TLS configuration of ours, reads proxies from the environment, keeps
        // connections, follows redirects and tries again.
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .no_proxy()
            .pool_max_idle_per_host(0)
            // A connection that lives for one exchange needs no probes of its own; setting them
            // takes five system calls.
            .tcp_keepalive(None)
            .tcp_keepalive_interval(None)
            .tcp_keepalive_retries(None)
            .tcp_user_timeout(None)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("health-exporter/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Dialler(self.resolver.clone()))
            .connector_layer(Connected);
        if settings.http1_only {
            builder = builder.http1_only();
        }
        if let Some(Proxy { url, credentials }) = &settings.proxy {
            let mut proxy = reqwest::Proxy::all(url.clone()).map_err(unusable)?;
            if let Some((username, password)) = credentials {
                proxy = proxy.basic_auth(username, password.expose());
            }
            builder = builder.proxy(proxy);
        }
        let proxy = settings.proxy.as_ref().map(|proxy| proxy.url.clone());
        Ok(Shared { reqwest: builder.build().map_err(unusable)?, proxy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_settings_share_a_client_while_somebody_holds_it() {
        let wire = Arc::new(Wire::default());
        let client = |insecure| {
            let tls = TlsMaterial { insecure, ..TlsMaterial::default() };
            wire.http_client(ClientSettings { tls, ..ClientSettings::default() }).unwrap()
        };
        let (strict, same, other) = (client(false), client(false), client(true));
        assert!(Arc::ptr_eq(&strict.0, &same.0));
        assert!(!Arc::ptr_eq(&strict.0, &other.0));
        drop((strict, same));
        drop(client(false));
        assert_eq!(wire.http_clients.0.lock().unwrap().len(), 2);
        drop(other);
        drop(client(false));
        assert_eq!(wire.http_clients.0.lock().unwrap().len(), 1);
    }
}
