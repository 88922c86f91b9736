//! Making a data directory of a backup.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use certs::RecoveryKey;
use serde_json::{Value, json};

use super::archive::{self, Key};
use super::rotation::archives;
use super::{Named, Part, failed};
use crate::daemon::now_ms;
use crate::engine::{Engine, Options};
use crate::request::{Failure, FailureKind, Request};

/// What is to be restored.
pub struct Restore<'a> {
    /// An archive of the backup, or a directory: then the newest one in it.
    pub src: &'a Path,
    /// Opens sealed archives.
    pub key: Option<&'a RecoveryKey>,
}

/// Makes `dir`, which must not be there yet or be empty, of a backup; every byte is compared with the manifest. With
/// `check` the directory is verified item by item and removed again.
///
/// # Errors
/// Nothing is left of a directory that could not be made whole.
pub fn restore(
    restore: &Restore<'_>,
    dir: &Path,
    check: bool,
    mut progress: impl FnMut(u64),
) -> Result<Value, Failure> {
    let main = choose(restore.src)?;
    let vault = Some(main.sibling(Part::Vault)).filter(|path| path.is_file());
    must_be_free(dir)?;
    let making = Making::begin(dir)?;
    let key = restore.key.map_or(Key::None, Key::Recovery);
    let mut manifests = Vec::new();
    for (part, path) in [(Part::Node, Some(&main.path)), (Part::Vault, vault.as_ref())] {
        let Some(path) = path else { continue };
        let manifest = archive::read(path, main.sealed, &key, |name, _, from| {
            if Part::of(name) != part {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("`{name}` belongs elsewhere"),
                ));
            }
            progress(making.put(name, from)?);
            Ok(())
        })?;
        if (manifest.part, manifest.taken.as_str()) != (part, main.taken.as_str()) {
            return Err(super::damaged(format!("{} is not what its name says", path.display())));
        }
        manifests.push(manifest);
    }
    let taken = main.taken.clone();
    let mut engine = Engine::open(&making.dir, &Options::drawn()?)?;
    let node = engine.me().to_string();
    if manifests.iter().any(|manifest| manifest.node != node) {
        return Err(super::damaged("the archives are of different nodes"));
    }
    engine.begin(now_ms())?;
    let verified = if check { Some(engine.ask(&Request::Verify)) } else { None };
    engine.restored(&taken)?;
    engine.commit()?;
    drop(engine);
    let verified = verified.transpose()?;
    if !check {
        making.finish(dir)?;
    }
    Ok(json!({
        "node": node, "taken": taken, "from": main.path, "vault": vault.is_some(), "dir": if check { None } else { Some(dir) },
        "verified": verified,
    }))
}

/// The archive of the node's part.
fn choose(src: &Path) -> Result<Named, Failure> {
    if !src.exists() {
        return Err(failed(
            format!("{} is not there", src.display()),
            "a backup or a directory with backups is wanted",
        ));
    }
    if !src.is_dir() {
        let named = Named::read(src.to_owned()).ok_or_else(|| {
            failed(
                format!("{} is no backup", src.display()),
                "its name is not one that `hotline backup` gives",
            )
        })?;
        let main = named.sibling(Part::Node);
        return match main.is_file() {
            true => Ok(Named { path: main, part: Part::Node, ..named }),
            false => {
                Err(failed(format!("{} is not there", main.display()), "a backup's node part is needed"))
            }
        };
    }
    let all = archives(src).map_err(|e| failed(format!("{} cannot be read", src.display()), e))?;
    let mains: Vec<Named> = all.into_iter().filter(|one| one.part == Part::Node).collect();
    let mut nodes: Vec<&str> = mains.iter().map(|one| one.node.as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    match nodes.as_slice() {
        [] => Err(failed(format!("no backup is in {}", src.display()), "no archive of a node lies there")),
        [_] => Ok(mains.into_iter().next_back().expect("there is one node's")),
        several => Err(Failure::new(
            FailureKind::Usage,
            format!("{} holds backups of several nodes: {}", src.display(), several.join(", ")),
        )
        .hint("name the archive that is to be restored")),
    }
}

fn must_be_free(dir: &Path) -> Result<(), Failure> {
    match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed(format!("{} cannot be made", dir.display()), e)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                Err(failed(format!("{} is not empty", dir.display()), "nothing is ever restored over data")
                    .hint(
                        "move it away first; keep it until the restored node is proved equal with its peers",
                    ))
            }
        },
    }
}

/// A directory being made beside its place; dropping it removes it.
struct Making {
    dir: PathBuf,
}

impl Making {
    fn begin(dir: &Path) -> Result<Making, Failure> {
        let mut name = dir.file_name().unwrap_or_default().to_owned();
        name.push(".restoring");
        let making = dir.with_file_name(name);
        if let Some(parent) = making.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(parent)
                .map_err(|e| failed(format!("{} cannot be made", parent.display()), e))?;
        }
        DirBuilder::new().mode(0o700).create(&making).map_err(|e| {
            failed(format!("{} cannot be made", making.display()), e)
                .hint("when it is left over from a restore that was killed, remove it")
        })?;
        Ok(Making { dir: making })
    }

    fn put(&self, name: &str, from: &mut dyn Read) -> io::Result<u64> {
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mode = if name.starts_with("identity/") && !name.ends_with(".key") { 0o644 } else { 0o600 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        let bytes = io::copy(from, &mut file)?;
        file.sync_all()?;
        Ok(bytes)
    }

    fn finish(self, dir: &Path) -> Result<(), Failure> {
        let rename = || {
            match fs::remove_dir(dir) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            fs::rename(&self.dir, dir)?;
            let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()
        };
        rename().map_err(|e| failed(format!("{} cannot be put in its place", dir.display()), e))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir); // not there any more when it was finished
    }
}
