//! Starting other programs: in an environment without traces of the cargo that started this one, and so that none outlives it.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A command for `program`.
///
/// `cargo run` passes settings of the outer build to what it runs (which compiler, which package, where libraries are). A
/// different cargo started from here must not see them.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let users = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];
        let keep = users.iter().any(|prefix| text.starts_with(prefix));
        let of_cargo = text.starts_with("CARGO") && !keep;
        let of_compiler = text.starts_with("RUSTC") || text.starts_with("RUSTFLAGS") || text.starts_with("RUSTDOC");
        if of_cargo || of_compiler || ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"].contains(&text) {
            command.env_remove(&name);
        }
    }
    command
}

/// A command for `program` that ends when this program ends, however it ends, and that no key pressed on the terminal reaches.
///
/// `setpriv` has the kernel kill it when its parent is gone; it belongs to util-linux, which every Linux system has.
pub fn tied_command(program: impl AsRef<OsStr>) -> Command {
    #[cfg(target_os = "linux")]
    let mut command = {
        let mut command = self::command("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    };
    #[cfg(not(target_os = "linux"))]
    let mut command = self::command(program);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// The cargo that builds for the host: the one that runs this command.
pub fn host_cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where `program` is on the search path.
pub fn which(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Runs a command without input and gives what it wrote on its standard output; its error is the last line it wrote.
pub fn output(command: &mut Command) -> Result<String> {
    let name = show(command);
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        bail!("{name} failed ({status}): {}", last.trim());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Runs a command without input for at most `limit`; gives whether it succeeded and all that it wrote, in order.
pub fn output_within(command: &mut Command, limit: Duration) -> Result<(bool, String)> {
    let (mut reader, writer) = io::pipe().context("cannot make a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn();
    // The command holds the writing ends, without which the pipe would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.with_context(|| format!("cannot start {}", show(command)))?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = reader.read_to_end(&mut text);
        // Nobody listens if time has run out.
        let _ = sender.send(text);
    });
    match receiver.recv_timeout(limit) {
        Ok(text) => Ok((child.wait()?.success(), String::from_utf8_lossy(&text).into_owned())),
        Err(_) => {
            child.kill()?;
            child.wait()?;
            bail!("not finished within {} s, so it was stopped", limit.as_secs())
        }
    }
}

/// How a command reads when typed, without its environment.
pub fn show(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word as a shell needs it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_is_one_line() {
        let error = output(command("sh").args(["-c", "echo first >&2; echo last >&2; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "sh -c 'echo first >&2; echo last >&2; exit 3' failed (exit status: 3): last");
    }

    #[test]
    fn missing_program_is_named() {
        let error = output(&mut command("no-such-program-here")).unwrap_err();
        assert!(error.to_string().starts_with("cannot start no-such-program-here"), "{error}");
    }

    #[test]
    fn hanging_program_is_stopped() {
        let error = output_within(tied_command("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.to_string(), "not finished within 0 s, so it was stopped");
        let script = "echo out; echo err >&2; exit 1";
        let (success, text) = output_within(command("sh").args(["-c", script]), Duration::from_secs(60)).unwrap();
        assert_eq!((success, text.as_str()), (false, "out\nerr\n"));
    }

    #[test]
    fn finds_programs() {
        assert!(which("sh").is_some());
        assert!(which("no-such-program-here").is_none());
    }
}
