//! Replaces a file whole: the old one stays beside it, readers never see half
//! of the new one, and permissions and symbolic links are kept.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use trunkline_model::Timestamp;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Names tried for a backup or a temporary file before giving up.
const MOST_TRIES: u32 = 100;

/// The text of a file; none when there is no such file.
///
/// # Errors
/// It cannot be read, is larger than 16 MiB, or is not UTF-8.
pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if metadata.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "is larger than 16 MiB"));
    }
    fs::read_to_string(path).map(Some)
}

/// Puts `after` in the place of `before`, which is what [`read`] gave, and
/// says where the backup is (none when there was no file).
///
/// A new file can be read by its owner alone; an existing one keeps its mode.
///
/// # Errors
/// The file has changed since it was read, or the system refuses a step; the
/// file is then as it was.
pub(crate) fn replace(
    path: &Path,
    before: Option<&str>,
    after: &str,
    now: Timestamp,
) -> io::Result<Option<PathBuf>> {
    // A configuration file is often a link into a repository of dotfiles.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let backup = before.map(|text| write_backup(path, &target, text, now)).transpose()?;
    let (temporary, mut file) =
        create_beside(&target, |try_number| format!(".tmp-{}-{try_number}", std::process::id()))?;
    let written = fill(&mut file, after, &target)
        .and_then(|()| unchanged(&target, before))
        .and_then(|()| fs::rename(&temporary, &target));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(backup)
}

fn write_backup(path: &Path, target: &Path, text: &str, now: Timestamp) -> io::Result<PathBuf> {
    let stamp: String =
        now.to_string().chars().take(19).filter(|character| !"-:".contains(*character)).collect();
    let (backup, mut file) = create_beside(path, |try_number| match try_number {
        0 => format!(".bak-{stamp}Z"),
        more => format!(".bak-{stamp}Z-{more}"),
    })?;
    fill(&mut file, text, target)?;
    Ok(backup)
}

/// Makes a file next to `path` that did not exist, for its owner alone.
fn create_beside(path: &Path, suffix: impl Fn(u32) -> String) -> io::Result<(PathBuf, File)> {
    let mut try_number = 0;
    loop {
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(suffix(try_number));
        let candidate = path.with_file_name(name);
        match private_file(&candidate) {
            Ok(file) => return Ok((candidate, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && try_number < MOST_TRIES => {
                try_number += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes a file that did not exist and that its owner alone can read.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn fill(file: &mut File, text: &str, like: &Path) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    if let Ok(metadata) = fs::metadata(like) {
        file.set_permissions(metadata.permissions())?;
    }
    file.sync_all()
}

fn unchanged(path: &Path, before: Option<&str>) -> io::Result<()> {
    if read(path)?.as_deref() == before {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "was changed by somebody else meanwhile; nothing was written",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_500_000);

    #[test]
    fn a_new_file_has_no_backup_and_its_folders_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file.json");
        assert_eq!(replace(&path, None, "new", NOW).unwrap(), None);
        assert_eq!(read(&path).unwrap().as_deref(), Some("new"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn backups_made_in_the_same_second_do_not_overwrite_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1").unwrap();
        let first = replace(&path, Some("1"), "2", NOW).unwrap().unwrap();
        let second = replace(&path, Some("2"), "3", NOW).unwrap().unwrap();
        assert_eq!(first.file_name().unwrap(), "file.bak-19700101T000001Z");
        assert_eq!(second.file_name().unwrap(), "file.bak-19700101T000001Z-1");
        assert_eq!(fs::read_to_string(first).unwrap(), "1");
        assert_eq!(fs::read_to_string(second).unwrap(), "2");
        assert_eq!(fs::read_to_string(path).unwrap(), "3");
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "theirs").unwrap();
        assert!(replace(&path, Some("mine"), "new", NOW).is_err());
        assert!(replace(&path, None, "new", NOW).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }

    #[cfg(unix)]
    #[test]
    fn mode_and_symbolic_link_are_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        let link = folder.path().join("link");
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        let backup = replace(&link, Some("old"), "new", NOW).unwrap().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&real), mode(&backup)), (0o640, 0o640));

        let new = folder.path().join("new");
        replace(&new, None, "secret", NOW).unwrap();
        assert_eq!(mode(&new), 0o600);
    }
}
