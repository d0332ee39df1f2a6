//! The forge of a project: which webhooks are taken for it.
//!
//! Owns the three keys of a `[[project]]` about it, which are given together or not at all. Leaves
//! the webhooks themselves to the service.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Error, Project};

/// A forge whose webhooks are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forge {
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea, and Forgejo.
    Gitea,
}

impl Forge {
    /// Its name, in the configuration and in the audit.
    pub fn name(self) -> &'static str {
        match self {
            Forge::GitHub => "github",
            Forge::GitLab => "gitlab",
            Forge::Gitea => "gitea",
        }
    }
}

/// A project that takes webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooked {
    /// The repo, as tasks name it.
    pub repo: String,
    /// The forge.
    pub forge: Forge,
    /// The repository's full name there.
    pub forge_repo: String,
    /// The file with the secret.
    pub secret: PathBuf,
}

impl Project {
    /// The project's webhooks; none if it takes none.
    ///
    /// # Errors
    ///
    /// When only some of the keys are given, or the repository has no full name.
    pub fn hooked(&self) -> Result<Option<Hooked>, Error> {
        let Project {
            repo,
            forge,
            forge_repo,
            hook_secret,
            ..
        } = self;
        let lacks = |key| Error::HalfAForge {
            repo: repo.clone(),
            key,
        };
        if (forge, forge_repo, hook_secret) == (&None, &None, &None) {
            return Ok(None);
        }
        let forge = forge.ok_or_else(|| lacks("forge"))?;
        let forge_repo = forge_repo.clone().ok_or_else(|| lacks("forge_repo"))?;
        let secret = hook_secret
            .clone()
            .filter(|path| !path.as_os_str().is_empty());
        let secret = secret.ok_or_else(|| lacks("hook_secret"))?;
        let is_part = |part: &str| !part.is_empty() && !part.contains(char::is_control);
        if !forge_repo.contains('/') || !forge_repo.split('/').all(is_part) {
            return Err(Error::ForgeRepo {
                repo: repo.clone(),
                name: forge_repo,
            });
        }
        Ok(Some(Hooked {
            repo: repo.clone(),
            forge,
            forge_repo,
            secret,
        }))
    }
}
