//! Names to addresses, as this machine resolves them.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

/// Asks the system, at most once at a time for a name.
///
/// The system's call blocks a thread and cannot be ended, so runs that give up must not leave more
/// and more of them behind: whoever asks for a name that is being looked up waits for that answer.
/// Nothing is remembered once it has arrived.
#[derive(Clone)]
pub struct Resolver {
    flights: Flights,
    system: Arc<System>,
}

type System = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;
type Flights = Arc<Mutex<HashMap<String, watch::Receiver<Option<Addresses>>>>>;

/// What the system said; it is shared by all who asked.
type Addresses = Result<Arc<[IpAddr]>, Arc<io::Error>>;

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|name| Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    fn new(system: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self { flights: Flights::default(), system: Arc::new(system) }
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// What the system said.
    pub async fn lookup(&self, name: &str) -> Addresses {
        let mut flight = self.join(name);
        match flight.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(addresses)) => addresses.clone(),
            _ => Err(Arc::new(io::Error::other("the lookup was abandoned"))),
        }
    }

    /// The lookup of this name that is under way; it is started if there is none.
    fn join(&self, name: &str) -> watch::Receiver<Option<Addresses>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(name) {
            return flight.clone();
        }
        let (arrived, flight) = watch::channel(None);
        flights.insert(name.to_owned(), flight.clone());
        let landing = Landing { flights: self.flights.clone(), name: name.to_owned() };
        let system = self.system.clone();
        tokio::task::spawn_blocking(move || {
            let addresses = system(&landing.name).map(Arc::from).map_err(Arc::new);
            drop(landing);
            // Those who asked may have given up.
            let _ = arrived.send(Some(addresses));
        });
        flight
    }
}

/// Takes a lookup off the list, however it ends.
struct Landing {
    flights: Flights,
    name: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    #[tokio::test]
    async fn a_name_that_is_being_looked_up_is_not_looked_up_again() {
        let calls = Arc::new(AtomicUsize::new(0));
        let (go, wait) = mpsc::channel();
        let (counted, wait) = (calls.clone(), Mutex::new(wait));
        let resolver = Resolver::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            wait.lock().unwrap().recv().unwrap();
            Ok(vec![IpAddr::from([10, 0, 0, 1])])
        });
        drop(resolver.join("a.test"));
        let mut second = resolver.join("a.test");
        go.send(()).unwrap();
        assert!(second.wait_for(Option::is_some).await.is_ok());
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        go.send(()).unwrap();
        assert!(resolver.lookup("a.test").await.is_ok());
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert!(resolver.flights.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_lookup_that_panics_is_an_error_and_not_the_last_one() {
        let resolver = Resolver::new(|_| panic!("no such call"));
        assert!(resolver.lookup("a.test").await.is_err());
        assert!(resolver.lookup("a.test").await.is_err());
        assert!(resolver.flights.lock().unwrap().is_empty());
    }
}
