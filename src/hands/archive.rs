//! Events to a file: whole and synced, or not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use actors::rituals::hands::Done;

use super::Limits;

pub(super) fn write(limits: &Limits, name: &str, lines: &[String]) -> Done {
    let Some(dir) = &limits.archives else {
        return Done::never("there is no directory for archives: set data.dir");
    };
    match put(dir, name, lines) {
        Ok(()) => Done::well(format!(
            "{} events in {}",
            lines.len(),
            dir.join(name).display()
        )),
        Err(err) => Done::failed(format!("{}: {err}", dir.join(name).display())),
    }
}

fn put(dir: &Path, name: &str, lines: &[String]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let (path, fresh) = (dir.join(name), dir.join(format!(".{name}.part")));
    let mut file = io::BufWriter::new(File::create(&fresh)?);
    for line in lines {
        file.write_all(line.as_bytes())?;
        if !line.ends_with('\n') {
            file.write_all(b"\n")?;
        }
    }
    file.into_inner()?.sync_all()?;
    fs::rename(&fresh, &path)?;
    File::open(dir)?.sync_all()
}
