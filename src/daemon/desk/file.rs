//! `dscontrol file …` and the reload by SIGHUP.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::Refusal;
use crate::control::reply::{FileEntry, FileReport};
use crate::control::{Body, Reply};
use crate::dispatcher::Plan;

use super::{Desk, more, waits_for_restart};
use crate::daemon::files::{self, LoadError};
use crate::daemon::heart::Heart;

impl Desk {
    /// SIGHUP: the files of the command line, read again. A broken file leaves everything as it is.
    pub async fn reload(&self) {
        match self.load_new(self.files.clone()).await {
            Ok(reply) => {
                tracing::info!(target: "tsuji::state", "configuration loaded again: {}", reply.lines.join("; "))
            }
            Err(refusal) => tracing::error!(target: "tsuji::state", "configuration not loaded again: {refusal}"),
        }
    }

    pub(super) async fn newload(&self, path: &Path) -> Result<Reply, Refusal> {
        let mut reply = self.load_new(vec![path.to_owned()]).await?;
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let is_ours = self.files.iter().any(|file| absolute(file) == absolute(path));
        if let (false, Some(file)) = (is_ours, self.files.first()) {
            reply.lines.push(format!("until the next start, which loads {} again", file.display()));
        }
        Ok(reply)
    }

    async fn load_new(&self, paths: Vec<PathBuf>) -> Result<Reply, Refusal> {
        let name = paths.first().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let read = off_thread(move || files::load(&paths)).await;
        let planned = |heart: &Heart, document| heart.read(|dispatcher| dispatcher.plan_file(document, &name));
        self.load(read, planned).await
    }

    pub(super) async fn appendload(&self, path: &Path) -> Result<Reply, Refusal> {
        let (file, name) = (path.to_owned(), path.to_string_lossy().into_owned());
        let read = off_thread(move || files::read(&file)).await;
        let planned = |heart: &Heart, text: String| heart.read(|dispatcher| dispatcher.plan_append(&text, &name));
        self.load(read, planned).await
    }

    async fn load<T>(
        &self,
        read: Result<T, LoadError>,
        plan: impl FnOnce(&Heart, T) -> Result<Plan, crate::config::Faults>,
    ) -> Result<Reply, Refusal> {
        let _turn = self.heart.begin_change().await;
        let loaded = async {
            let content = read.map_err(|error| not_loaded(&error))?;
            let plan = plan(&self.heart, content).map_err(|faults| not_loaded(&faults))?;
            let mut lines = told(&plan);
            lines.extend(self.heart.read(|dispatcher| waits_for_restart(dispatcher.config(), plan.config())));
            self.put_in_force(plan).await?;
            Ok(lines)
        };
        let outcome = loaded.await;
        self.note_load(outcome.as_ref().err().map(ToString::to_string).as_deref());
        let mut reply = Reply::done("");
        reply.lines = outcome?;
        self.keep(&mut reply).await;
        Ok(reply)
    }

    /// What became of the last file, for reports and the metrics page: `None` is well.
    pub(in crate::daemon) fn note_load(&self, trouble: Option<&str>) {
        self.last_load.set(Some((trouble.is_none(), SystemTime::now())));
        let lines = trouble.into_iter().flat_map(str::lines).map(str::to_owned);
        *self.trouble.borrow_mut() = lines.collect();
    }

    pub(super) async fn save(&self, name: &str, force: bool) -> Result<Reply, Refusal> {
        let path = self.paths.configuration.join(name);
        let there = path.clone();
        if !force && off_thread(move || there.exists()).await {
            return Err(Refusal::Refused(format!("{} exists; `file save {name} force` replaces it", path.display())));
        }
        let document = self.document();
        let text = if name.ends_with(".toml") { document.to_toml() } else { document.to_script() };
        match self.keeper.keep(&path, text).await {
            Ok(()) => Ok(Reply::done(format!("saved to {}", path.display()))),
            Err(error) => {
                more(&self.tally.saves_failed);
                Err(Refusal::Refused(error.to_string()))
            }
        }
    }

    pub(super) async fn delete(&self, name: &str) -> Result<Reply, Refusal> {
        let path = self.paths.configuration.join(name);
        let doomed = path.clone();
        off_thread(move || std::fs::remove_file(doomed))
            .await
            .map_err(|error| Refusal::Refused(format!("cannot delete {}: {error}", path.display())))?;
        Ok(Reply::done(format!("deleted {}", path.display())))
    }

    pub(super) async fn file_report(&self) -> Result<Reply, Refusal> {
        let directory = self.paths.configuration.clone();
        let listed = off_thread(move || files::list(&directory)).await;
        let listed = listed.map_err(|error| {
            Refusal::Refused(format!("cannot list {}: {error}", self.paths.configuration.display()))
        })?;
        let files = listed.into_iter().map(|(name, metadata)| FileEntry {
            name,
            bytes: metadata.len(),
            modified: Some(std::os::unix::fs::MetadataExt::mtime(&metadata)),
        });
        Ok(Reply::report(Body::FileReport(FileReport {
            directory: self.paths.configuration.display().to_string(),
            loaded: self.heart.read(|dispatcher| dispatcher.source().map(str::to_owned)).into_iter().collect(),
            files: files.collect(),
        })))
    }
}

/// What the operator should know of a load that went through.
fn told(plan: &Plan) -> Vec<String> {
    let warnings = plan.warnings.iter().map(|warning| format!("warning: {warning}"));
    let dropped =
        plan.dropped.iter().map(|change| format!("the file now says otherwise, so this change is gone: {change}"));
    std::iter::once("loaded".to_owned()).chain(warnings).chain(dropped).collect()
}

fn not_loaded(error: &dyn std::error::Error) -> Refusal {
    Refusal::Refused(format!("not loaded, everything stays as it was:\n{error}"))
}

/// The disk may be slow; the control thread must not wait with it.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("reading and writing files does not panic")
}
