//! The command `hazard`: checks ELF files and prints what it finds.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use hazard::{Options, Rule, check_elf};

/// Proves linked MIPS I programs free of pipeline hazards.
///
/// Reads every executable section and follows all paths, also through delay slots, to find what an R3000 would execute
/// differently from an emulator that interlocks. Exit status: 0 if all files are clean, 1 if there are findings, 2 if a
/// file cannot be checked.
#[derive(Parser)]
#[command(name = "hazard", version, after_long_help = rules())]
struct Arguments {
    /// Linked 32-bit little-endian MIPS programs
    #[arg(required = true, value_name = "FILE.elf")]
    files: Vec<PathBuf>,

    /// They run in user mode: refuse coprocessor 0, $k0 and $k1
    #[arg(long)]
    user: bool,

    /// Function that may use $k0 and $k1 in user mode (can be repeated)
    #[arg(long, value_name = "FUNCTION", requires = "user")]
    restartable: Vec<String>,

    /// They are kernels for MIPS32: allow eret, cache, and registers of coprocessor 0 that the R3000 has not
    #[arg(long, conflicts_with = "user")]
    mips32_kernel: bool,

    /// Allow floating-point instructions (hazards between their registers are not checked)
    #[arg(long)]
    fpu: bool,

    /// Rule that is not applied (can be repeated)
    #[arg(long, value_name = "RULE")]
    except: Vec<Rule>,
}

fn main() -> ExitCode {
    let Arguments { files, user, restartable, mips32_kernel, fpu, except } = Arguments::parse();
    let options = Options { user, restartable, fpu, mips32_kernel, except };
    let mut worst = 0;
    for file in &files {
        worst = worst.max(check_file(file, &options));
    }
    ExitCode::from(worst)
}

/// Checks and prints one file; gives the exit status that it asks for.
fn check_file(path: &Path, options: &Options) -> u8 {
    let result = std::fs::read(path)
        .map_err(|error| error.to_string())
        .and_then(|file| check_elf(&file, options).map_err(|error| error.to_string()));
    match result {
        Ok(report) => {
            print!("{}: {report}", path.display());
            u8::from(!report.findings.is_empty())
        }
        Err(error) => {
            eprintln!("hazard: {}: {error}", path.display());
            2
        }
    }
}

fn rules() -> String {
    let line = |rule: &Rule| format!("  {rule:17} {}\n", rule.sentence());
    format!("Rules:\n{}", Rule::ALL.iter().map(line).collect::<String>())
}
