//! What a plan needs from the disk: sorry pages, certificates, the key of a pair.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;

use crate::dispatcher::{Needs, Resources};
use crate::message::SorrySite;
use crate::model::{PortTls, ServerTls};
use crate::pairing::PairKeys;
use crate::tls::{TicketKeys, TlsBack, TlsFault, TlsFront};

use super::certificates::{CertificateError, read_back, read_front};
use super::chain;
use super::pair::{KeyError, read_keys};
use super::sorry::{ReadSorryError, read_sorry_site};

/// Reads what plans need.
#[derive(Clone, Debug)]
pub struct Fetcher {
    tickets: Arc<TicketKeys>,
}

/// Why something that a plan needs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Page(#[from] ReadSorryError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    PairKey(#[from] KeyError),
    #[error("the system gives no random bytes, without which there is no TLS")]
    NoRandomness,
}

/// What was made of what a plan needs, and what there is to say about it.
#[derive(Debug, Default)]
pub struct Fetched {
    pub resources: Resources,
    /// Pages that could not be used, and what stands in for them.
    pub told: Vec<String>,
    /// Certificates that could not be used and are done without.
    pub certificates: Vec<String>,
}

impl Fetcher {
    pub fn new() -> Result<Self, FetchError> {
        Ok(Self { tickets: TicketKeys::new().ok_or(FetchError::NoRandomness)? })
    }

    /// The keys that sessions of clients are sealed with.
    pub fn tickets(&self) -> &Arc<TicketKeys> {
        &self.tickets
    }

    /// All of it, or the first fault.
    pub async fn fetch(&self, needs: &Needs) -> Result<Resources, FetchError> {
        self.off_thread(needs, |fetcher, needs| fetcher.all(&needs)).await
    }

    /// The same at the start, where there is no earlier state to stay in: a page or a certificate that cannot be used must not
    /// keep clients from what is well. The built-in page takes a page's place, a certificate is left out, and what was
    /// wrong is told. Whom to believe is another matter: a port that could not tell its clients apart does not start.
    pub async fn fetch_or_stand_in(&self, needs: &Needs) -> Result<Fetched, FetchError> {
        self.off_thread(needs, |fetcher, needs| fetcher.what_there_is(&needs)).await
    }

    /// The key of the pair. Without one nobody knows who the partner is, so nothing stands in for one.
    pub async fn pair_keys(&self, needs: &Needs) -> Result<Option<Arc<PairKeys>>, FetchError> {
        let read = |needs: &Needs| needs.pair_key.as_deref().map(read_keys).transpose();
        let keys = self.off_thread(needs, move |_, needs| read(&needs)).await?;
        Ok(keys.map(Arc::new))
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        needs: &Needs,
        work: impl FnOnce(Self, Needs) -> T + Send + 'static,
    ) -> T {
        let (fetcher, needs) = (self.clone(), needs.clone());
        tokio::task::spawn_blocking(move || work(fetcher, needs)).await.expect("reading files does not panic")
    }

    fn all(&self, needs: &Needs) -> Result<Resources, FetchError> {
        let mut resources = Resources::default();
        for page in &needs.sorry {
            resources.sorry.insert(page.clone(), Arc::new(read_sorry_site(page)?));
        }
        for settings in &needs.fronts {
            let (front, mut faults) = self.front(settings)?;
            match (front, faults.pop()) {
                (Some(front), None) => resources.fronts.insert(settings.clone(), Arc::new(front)),
                (_, Some(fault)) => return Err(faults.into_iter().next().unwrap_or(fault).into()),
                (None, None) => None,
            };
        }
        for settings in &needs.backs {
            resources.backs.insert(settings.clone(), Arc::new(back(settings)?));
        }
        Ok(resources)
    }

    fn what_there_is(&self, needs: &Needs) -> Result<Fetched, FetchError> {
        let mut fetched = Fetched::default();
        for page in &needs.sorry {
            let site = read_sorry_site(page).or_else(|fault| {
                fetched.told.push(format!("{}; the built-in page stands in", chain(&fault)));
                SorrySite::built_in(page).map_err(|_| fault)
            })?;
            fetched.resources.sorry.insert(page.clone(), Arc::new(site));
        }
        for settings in &needs.fronts {
            let (front, mut faults) = self.front(settings)?;
            let is_certificates = |fault: &CertificateError| {
                matches!(fault, CertificateError::Fault(TlsFault::NothingLeft))
                    || !matches!(fault, CertificateError::Fault(_))
            };
            if front.is_none() && !faults.last().is_some_and(is_certificates) {
                return Err(faults.pop().unwrap_or(TlsFault::NothingLeft.into()).into());
            }
            fetched.certificates.extend(faults.iter().map(|fault| chain(fault)));
            fetched.resources.fronts.extend(front.map(|front| (settings.clone(), Arc::new(front))));
        }
        for settings in &needs.backs {
            match back(settings) {
                Ok(back) => drop(fetched.resources.backs.insert(settings.clone(), Arc::new(back))),
                Err(fault) => fetched.certificates.push(format!("{}; its servers are not reached", chain(&fault))),
            }
        }
        Ok(fetched)
    }

    /// What can be made of a port's files, and what cannot.
    pub fn front(&self, settings: &PortTls) -> Result<(Option<TlsFront>, Vec<CertificateError>), CertificateError> {
        let (files, mut faults) = read_front(settings)?;
        let built = TlsFront::build(settings, &files, &self.tickets);
        faults.extend(built.faults.into_iter().map(CertificateError::from));
        Ok((built.front, faults))
    }
}

/// What can be made of a server's files.
pub fn back(settings: &ServerTls) -> Result<TlsBack, CertificateError> {
    Ok(TlsBack::new(settings, read_back(settings)?, trusted())?)
}

/// Whom the system trusts. Read once: who changes that restarts what depends on it.
fn trusted() -> &'static Arc<RootCertStore> {
    static TRUSTED: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    TRUSTED.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    })
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
